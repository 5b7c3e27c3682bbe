// One line an event, levels, masking.
import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { createLogger, type LogLevel } from './log.ts'

function recorded(level?: LogLevel) {
  const lines: string[] = []
  const sink = { write: (line: string) => void lines.push(line) }
  const logger = createLogger({ sink, clock: new FakeClock(0), ...(level === undefined ? {} : { level }) })
  return { logger, read: () => lines.map((line) => JSON.parse(line)) }
}

describe('log', () => {
  test('a line carries time, level, message and fields, its own and inherited', () => {
    const { logger, read } = recorded()
    logger.with({ role: 'api' }).info('ready', { port: 6443 })
    expect(read()).toEqual([{ time: '1970-01-01T00:00:00.000Z', level: 'info', msg: 'ready', role: 'api', port: 6443 }])
  })

  test('lines below the level are not written', () => {
    const { logger, read } = recorded('warn')
    logger.info('quiet')
    logger.warn('loud')
    expect(read().map((line) => line.msg)).toEqual(['loud'])
    expect(logger.enabled('debug')).toBe(false)
  })

  test('errors give their message and causes', () => {
    const { logger, read } = recorded()
    logger.error('failed', { error: new Error('outer', { cause: new Error('inner') }) })
    expect(read()[0].error).toMatchObject({ message: 'outer', causes: ['inner'] })
  })

  test('MUSTHOLD 13: values under names of secrets are masked', () => {
    const { logger, read } = recorded()
    logger.info('x', { bearerToken: 'abc', Authorization: 'Bearer abc', password: 'p', user: 'u' })
    expect(read()[0]).toMatchObject({ bearerToken: '<masked>', Authorization: '<masked>', password: '<masked>', user: 'u' })
  })

  test('what cannot be written as JSON, or is far too long, still leaves a line', () => {
    const { logger, read } = recorded()
    const loop: Record<string, unknown> = {}
    loop['self'] = loop
    logger.info('loop', { loop })
    logger.info('long', { text: 'x'.repeat(100_000) })
    expect(read().map((line) => line.fields)).toEqual(['<not serializable>', '<too long>'])
  })
})
