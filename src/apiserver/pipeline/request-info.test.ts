// Paths as Kubernetes reads them, and names that could reach elsewhere.
import { describe, expect, test } from 'vitest'
import type { RequestInfo } from '../request.ts'
import { isLongRunning, parseRequestInfo } from './request-info.ts'

function parse(target: string, method = 'GET'): RequestInfo {
  const [path = '', search = ''] = target.split('?')
  return parseRequestInfo(method, path, new URLSearchParams(search))
}

// verb group/version namespace resource/subresource name rest
function brief(target: string, method?: string): string {
  const i = parse(target, method)
  if (!i.isResource) return `path ${i.verb}`
  return [
    i.verb,
    `${i.group}/${i.version}`,
    i.namespace || '-',
    i.subresource ? `${i.resource}/${i.subresource}` : i.resource,
    i.name || '-',
    i.rest,
  ]
    .join(' ')
    .trim()
}

describe('request info', () => {
  test.each([
    ['/', 'path get'],
    ['/api', 'path get'],
    ['/api/v1', 'path get'],
    ['/api/v1/', 'path get'],
    ['/apis/apps/v1', 'path get'],
    ['/healthz/ping', 'path get'],
    ['/api/v1/pods', 'list /v1 - pods -'],
    ['/api/v1/pods/', 'list /v1 - pods -'],
    ['/api/v1/pods?watch=1', 'watch /v1 - pods -'],
    ['/api/v1/pods?watch', 'watch /v1 - pods -'],
    ['/api/v1/pods?watch=False', 'list /v1 - pods -'],
    ['/api/v1/pods?watch=0', 'list /v1 - pods -'],
    ['/api/v1/nodes/n1', 'get /v1 - nodes n1'],
    ['/api/v1/nodes/n1/proxy/metrics/cadvisor', 'get /v1 - nodes/proxy n1 /metrics/cadvisor'],
    ['/api/v1/nodes/n1/proxy/', 'get /v1 - nodes/proxy n1 /'],
    ['/api/v1/nodes/n1/proxy', 'get /v1 - nodes/proxy n1'],
    ['/api/v1/namespaces', 'list /v1 - namespaces -'],
    ['/api/v1/namespaces/a', 'get /v1 a namespaces a'],
    ['/api/v1/namespaces/a/status', 'get /v1 a namespaces/status a'],
    ['/api/v1/namespaces/a/finalize', 'get /v1 a namespaces/finalize a'],
    ['/api/v1/namespaces/a/pods', 'list /v1 a pods -'],
    ['/api/v1/namespaces/a/pods/p', 'get /v1 a pods p'],
    ['/api/v1/namespaces/a/pods/p/log', 'get /v1 a pods/log p'],
    ['/api/v1/namespaces/a/services/https:s:web/proxy/x%2Fy/?a=b', 'get /v1 a services/proxy https:s:web /x%2Fy/'],
    ['/api/v1/watch/pods', 'watch /v1 - pods -'],
    ['/api/v1/watch/namespaces/a/pods/p', 'watch /v1 a pods p'],
    ['/apis/apps/v1/watch/namespaces/a/deployments', 'watch apps/v1 a deployments -'],
    ['/apis/apps/v1/namespaces/a/deployments/d/scale', 'get apps/v1 a deployments/scale d'],
    ['/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3Dp', 'list /v1 a pods p'],
    ['/api/v1/namespaces/a/pods?watch=true&fieldSelector=spec.nodeName%3Dn,metadata.name%3D%3Dp', 'watch /v1 a pods p'],
    ['/api/v1/namespaces/a/pods?fieldSelector=metadata.name!%3Dp', 'list /v1 a pods -'],
    ['/api/v1/namespaces/a/pods?fieldSelector=metadata.name%3D..', 'list /v1 a pods -'],
    ['/%61pi/v1/pods', 'list /v1 - pods -'],
  ])('GET %s', (target, expected) => {
    expect(brief(target)).toBe(expected)
  })

  test.each([
    ['POST', '/api/v1/namespaces/a/pods', 'create /v1 a pods -'],
    ['PUT', '/api/v1/namespaces/a/pods/p', 'update /v1 a pods p'],
    ['PATCH', '/api/v1/namespaces/a/pods/p', 'patch /v1 a pods p'],
    ['DELETE', '/api/v1/namespaces/a/pods/p', 'delete /v1 a pods p'],
    ['DELETE', '/api/v1/namespaces/a/pods', 'deletecollection /v1 a pods -'],
    ['HEAD', '/api/v1/namespaces/a/pods/p', 'get /v1 a pods p'],
    ['OPTIONS', '/api/v1/namespaces/a/pods/p', '/v1 a pods p'],
    ['POST', '/version', 'path post'],
    ['POST', '/api/v1/namespaces/a/pods/p/exec', 'create /v1 a pods/exec p'],
  ])('%s %s', (method, target, expected) => {
    expect(brief(target, method)).toBe(expected)
  })

  test('a legacy watch of nothing is refused', () => {
    expect(() => parse('/api/v1/watch')).toThrow('unable to determine kind and namespace')
  })

  test.each([
    ['/api/v1/namespaces/../pods', `Name parameter invalid: "..": may not be '..'`],
    ['/api/v1/namespaces/%2e%2e/pods', `Name parameter invalid: "..": may not be '..'`],
    ['/api/v1/namespaces/%2E/pods', `Name parameter invalid: ".": may not be '.'`],
    ['/api/v1/namespaces/a%2fsecrets/pods', `Name parameter invalid: "a/secrets": may not contain '/'`],
    ['/api/v1/namespaces/a/pods/..%2f..%2fb%2fsecrets', `Name parameter invalid: "../../b/secrets": may not contain '/'`],
    ['/api/v1/namespaces/a/pods/x%252fy', `Name parameter invalid: "x%2fy": may not contain '%'`],
    ['/api/v1/namespaces/a/pods%2fp', `the path of the request is invalid: may not contain '/'`],
    ['/api/v1/namespaces/a/pods/p/%2e%2e', `the path of the request is invalid: may not be '..'`],
    ['/apis/%2e%2e/v1/pods', `the path of the request is invalid: may not be '..'`],
  ])('MUSTHOLD 5: %s is refused', (target, message) => {
    expect(() => parse(target)).toThrow(message)
  })

  test('MUSTHOLD 5: an empty namespace is not all namespaces', () => {
    expect(() => parse('/api/v1/namespaces//pods')).toThrow('could not find the requested resource')
  })

  test.each([
    ['/api/v1/pods?watch=1', true],
    ['/api/v1/namespaces/a/pods/p/log', true],
    ['/api/v1/namespaces/a/pods/p/exec', true],
    ['/api/v1/nodes/n/proxy/x', true],
    ['/api/v1/namespaces/a/pods/p/status', false],
    ['/api/v1/pods', false],
    ['/metrics', false],
  ])('%s is long-running: %s', (target, expected) => {
    expect(isLongRunning(parse(target))).toBe(expected)
  })
})
