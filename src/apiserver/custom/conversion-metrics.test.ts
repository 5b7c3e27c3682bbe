import { expect, test } from 'vitest'
import { FakeClock } from '#base/fake-clock'
import { createMetrics } from '#platform/metrics'
import type { WebhookClient } from '../admission/webhooks/call-webhook.ts'
import { conversionMetrics } from './conversion-metrics.ts'
import { createWebhookConverter } from './webhook-converter.ts'

test('conversions are counted by how they went', async () => {
  const metrics = createMetrics()
  const object = { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name: 'a', uid: '1' } }
  const answers: unknown[] = [
    [{ ...object, apiVersion: 'example.com/v2' }],
    [],
    [{ ...object, apiVersion: 'example.com/v3' }],
    undefined,
    new Error('nobody there'),
  ]
  const client = {
    async post() {
      const answer = answers.shift()
      if (answer instanceof Error) throw answer
      const response = answer === undefined ? undefined : { uid: 'u', result: { status: 'Success' }, convertedObjects: answer }
      return { apiVersion: 'apiextensions.k8s.io/v1', kind: 'ConversionReview', response }
    },
  } as unknown as WebhookClient
  const measures = conversionMetrics(metrics, new FakeClock())
  const converter = createWebhookConverter(
    { client, newUid: () => 'u', measures },
    { conversionReviewVersions: ['v1'] },
    'widgets.example.com',
  )
  for (let i = 0; i < 5; i++) await converter.convert([object], 'example.com/v2').catch(() => undefined)
  const lines = [...metrics.text()].join('').split('\n')
  expect(lines.filter((line) => line.includes('request_total{') || line.includes('crd_conversion_webhook_duration_seconds_count'))).toEqual(
    [
      'apiserver_conversion_webhook_request_total{result="success",failure_type=""} 1',
      'apiserver_conversion_webhook_request_total{result="failure",failure_type="conversion_webhook_partial_response_failure"} 1',
      'apiserver_conversion_webhook_request_total{result="failure",failure_type="conversion_webhook_invalid_converted_object_failure"} 1',
      'apiserver_conversion_webhook_request_total{result="failure",failure_type="conversion_webhook_malformed_response_failure"} 1',
      'apiserver_conversion_webhook_request_total{result="failure",failure_type="conversion_webhook_call_failure"} 1',
      'apiserver_crd_conversion_webhook_duration_seconds_count{crd_name="widgets.example.com",from_version="v1",to_version="v2",succeeded="true"} 1',
      'apiserver_crd_conversion_webhook_duration_seconds_count{crd_name="widgets.example.com",from_version="v1",to_version="v2",succeeded="false"} 4',
    ],
  )
})
