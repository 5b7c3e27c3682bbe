import { describe, expect, test } from 'vitest'
import type * as batchV1 from '../../generated/batch-v1.ts'
import type * as coreV1 from '../../generated/core-v1.ts'
import type { Manifest } from '../../object.ts'
import { created, createErrors, updateErrors } from '../testing.ts'
import { CronJob } from './cron-job.ts'
import { Job } from './job.ts'
import { countIndexes, overlap } from './job-indexes.ts'

const template: Manifest<coreV1.PodTemplateSpec> = {
  spec: { restartPolicy: 'Never', containers: [{ name: 'work', image: 'navarch.local/work:v1' }] },
}
const metadata = { name: 'work', uid: '1b4e28ba-2fa1-11d2-883f-0016d3cca427' }

function job(spec: Manifest<batchV1.JobSpec> = {}, status?: Manifest<batchV1.JobStatus>): Manifest<Job> {
  return { metadata, spec: { template, ...spec }, ...(status !== undefined && { status }) }
}

const indexed = { completionMode: 'Indexed', completions: 5 } as const

describe('what a job may ask for', () => {
  test.each<[string, Manifest<batchV1.JobSpec>, string[]]>([
    [
      'a manager is named by its domain',
      { managedBy: 'someone' },
      ['spec.managedBy: Invalid value: "someone": must be a domain-prefixed path (such as "acme.io/foo")'],
    ],
    [
      'limits for indexes go with indexes',
      { backoffLimitPerIndex: 1, maxFailedIndexes: 1 },
      [
        'spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode',
        'spec.maxFailedIndexes: Invalid value: 1: requires indexed completion mode',
      ],
    ],
    [
      'many indexes leave little room for failure',
      { completionMode: 'Indexed', completions: 100_001, parallelism: 20_000, backoffLimitPerIndex: 1 },
      [
        'spec.maxFailedIndexes: Required value: must be specified when completions is above 100000',
        'spec.parallelism: Invalid value: 20000: must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index',
      ],
    ],
    [
      'a rule about failures says what to do about what',
      {
        podFailurePolicy: {
          rules: [
            { action: '' as 'Count' },
            { action: 'FailIndex', onExitCodes: { operator: 'In', values: [3, 1, 1, 0], containerName: 'other' } },
            { action: 'Ignore', onPodConditions: [{ type: '', status: 'Maybe' }], onExitCodes: { operator: '' as 'In', values: [] } },
          ],
        },
      },
      [
        'spec.podFailurePolicy.rules[0].action: Required value: valid values: ["Count" "FailIndex" "FailJob" "Ignore"]',
        'spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required',
        'spec.podFailurePolicy.rules[1].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set',
        'spec.podFailurePolicy.rules[1].onExitCodes.containerName: Invalid value: "other": must be one of the container or initContainer names in the pod template',
        'spec.podFailurePolicy.rules[1].onExitCodes.values[2]: Duplicate value: 1',
        'spec.podFailurePolicy.rules[1].onExitCodes.values[3]: Invalid value: 0: must not be 0 for the In operator',
        'spec.podFailurePolicy.rules[1].onExitCodes.values: Invalid value: [3,1,1,0]: must be ordered',
        'spec.podFailurePolicy.rules[2].onExitCodes.operator: Required value: valid values: ["In" "NotIn"]',
        'spec.podFailurePolicy.rules[2].onExitCodes.values: Invalid value: []: at least one value is required',
        'spec.podFailurePolicy.rules[2].onPodConditions[0].type: Invalid value: "": name part must be non-empty',
        "spec.podFailurePolicy.rules[2].onPodConditions[0].type: Invalid value: \"\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
        'spec.podFailurePolicy.rules[2].onPodConditions[0].status: Unsupported value: "Maybe": supported values: "False", "True", "Unknown"',
        'spec.podFailurePolicy.rules[2]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported',
      ],
    ],
    [
      'success is counted in indexes that there are',
      { ...indexed, successPolicy: { rules: [{ succeededIndexes: '0,2-3', succeededCount: 4 }, { succeededIndexes: '4,2' }, {}] } },
      [
        'spec.successPolicy.rules[0].succeededCount: Invalid value: 4: must be less than or equal to 3 (the number of indexes in the specified succeededIndexes field)',
        'spec.successPolicy.rules[1].succeededIndexes: Invalid value: "4,2": error parsing succeededIndexes: non-increasing order, previous: 4, current: 2',
        'spec.successPolicy.rules[2]: Required value: at least one of succeededCount or succeededIndexes must be specified',
      ],
    ],
    [
      'and indexed jobs have it only',
      { successPolicy: { rules: [{ succeededCount: 1 }] } },
      ['spec.successPolicy: Invalid value: {"Rules":[{"SucceededIndexes":null,"SucceededCount":1}]}: requires indexed completion mode'],
    ],
    [
      'labels that somebody chose must fit',
      { template: { ...template, metadata: { labels: { 'job-name': 'other' } } } },
      [
        `spec.template.metadata.labels[job-name]: Invalid value: {"batch.kubernetes.io/controller-uid":"${metadata.uid}","batch.kubernetes.io/job-name":"work","controller-uid":"${metadata.uid}","job-name":"other"}: must be 'work'`,
      ],
    ],
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(Job, job(spec))).toEqual(errors)
  })

  test('the last pod of an indexed job needs a hostname', () => {
    const name = 'w'.repeat(62)
    expect(createErrors(Job, { ...job(indexed), metadata: { ...metadata, name } })).toEqual([
      `metadata.name: Invalid value: "${name}": will not able to create pod with invalid DNS label: ${name}-4`,
    ])
  })
})

describe('what may change of a job', () => {
  const spec = (more: Manifest<batchV1.JobSpec>): batchV1.JobSpec => created(Job, job(more)).spec
  const bigger = {
    ...template,
    spec: { ...template.spec, containers: [{ ...template.spec!.containers![0], resources: { requests: { cpu: '2' } } }] },
  }
  test.each<[string, Manifest<Job>, Manifest<batchV1.JobSpec>, string[]]>([
    [
      'an indexed one grows and shrinks as a whole',
      job({ ...indexed, parallelism: 5 }),
      { ...indexed, completions: 7, parallelism: 7 },
      [],
    ],
    [
      'not in its completions alone',
      job({ ...indexed, parallelism: 5 }),
      { ...indexed, completions: 7, parallelism: 5 },
      ['spec.completions: Invalid value: 7: can only be modified in tandem with spec.parallelism'],
    ],
    [
      'a suspended one moves and grows',
      job({ suspend: true }),
      { suspend: true, template: { ...bigger, spec: { ...bigger.spec, nodeSelector: { a: 'b' } } } },
      [],
    ],
  ])('%s', (_what, before, after, errors) => {
    expect(updateErrors(Job, before, { metadata, spec: spec(after) })).toEqual(errors)
  })

  test('not while its pods are there', () => {
    const before = job({ suspend: true }, { startTime: '2026-01-01T00:00:00Z', active: 1 })
    const errors = updateErrors(Job, before, { metadata, spec: spec({ suspend: true, template: bigger }) })
    expect(errors).toEqual([expect.stringMatching(/^spec\.template: Invalid value: .*: field is immutable$/)])
  })
})

describe('the status of a job', () => {
  const start = '2026-01-01T00:00:00Z'
  const end = '2026-01-01T00:01:00Z'
  const conditions = (...types: batchV1.JobCondition['type'][]): Manifest<batchV1.JobStatus> => ({
    conditions: types.map((type) => ({ type, status: 'True' })),
  })
  const running = { startTime: start, active: 1 }
  test.each<[string, Manifest<batchV1.JobSpec>, Manifest<batchV1.JobStatus>, Manifest<batchV1.JobStatus>, string[]]>([
    ['it ends well', {}, running, { startTime: start, completionTime: end, ...conditions('SuccessCriteriaMet', 'Complete') }, []],
    ['or badly', {}, running, { startTime: start, ...conditions('FailureTarget', 'Failed') }, []],
    [
      'not both, nor before it began',
      {},
      running,
      { startTime: end, completionTime: start, ...conditions('SuccessCriteriaMet', 'FailureTarget', 'Complete', 'Failed') },
      [
        'status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions',
        'status.conditions: Invalid value: cannot set Complete=True and FailureTarget=true conditions',
        `status.completionTime: Invalid value: "${start}": must be equal to or after \`startTime\``,
        'status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and Failed=true conditions',
        'status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions',
        `status.startTime: Invalid value: "${end}": field is immutable for unsuspended job once set`,
      ],
    ],
    [
      'an end is announced, timed, and leaves nothing running',
      {},
      {},
      { active: 1, ...conditions('Complete') },
      [
        'status.completionTime: Required value: completionTime is required for Complete jobs',
        'status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition',
        'status.active: Invalid value: 1: active>0 is invalid for finished job',
        'status.startTime: Required value: startTime is required for finished job',
      ],
    ],
    [
      'what has happened stays so',
      {},
      { startTime: start, failed: 2, succeeded: 1, ...conditions('FailureTarget', 'Failed') },
      { startTime: start, failed: 1, succeeded: 0 },
      [
        'status.conditions: Invalid value: cannot disable the terminal Failed=True condition',
        'status.conditions: Invalid value: cannot disable the terminal FailureTarget=True condition',
        'status.failed: Invalid value: 1: cannot decrease the failed counter',
        'status.succeeded: Invalid value: 0: cannot decrease the succeeded counter',
      ],
    ],
    [
      'indexes are either done or failed',
      { ...indexed, backoffLimitPerIndex: 1 },
      running,
      { ...running, completedIndexes: '0-2', failedIndexes: '2,9' },
      [
        'status.failedIndexes: Invalid value: "2,9": error parsing failedIndexes: too large index: "9"',
        'status.failedIndexes: Invalid value: "2,9": failedIndexes and completedIndexes overlap at index: 2',
      ],
    ],
    [
      'ready pods are active ones, and each is counted once',
      {},
      running,
      { ...running, ready: 2, uncountedTerminatedPods: { succeeded: ['a'], failed: ['a', ''] } },
      [
        'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"',
        'status.uncountedTerminatedPods.failed[1]: Invalid value: "": must not be empty',
        'status.ready: Invalid value: 2: cannot set more ready pods than active',
      ],
    ],
  ])('%s', (_what, spec, before, after, errors) => {
    expect(updateErrors(Job, job(spec, before), job(spec, after), 'status')).toEqual(errors)
  })

  test('indexes are counted as they are written', () => {
    expect([countIndexes('', 5), countIndexes('0,2-4', 5), overlap('0-1,4', '2-3', 5)]).toEqual([0, 4, undefined])
    expect(countIndexes('1-2-3', 5)).toMatch('at most two parts')
    expect(countIndexes('x', 5)).toBe('cannot convert string to integer for index: "x"')
  })
})

describe('cron jobs', () => {
  const jobTemplate = { spec: { template } }
  test.each<[string, Manifest<batchV1.CronJobSpec>, string[]]>([
    [
      'zones are told apart by case',
      { timeZone: 'europe/rome' },
      ['spec.timeZone: Invalid value: "europe/rome": unknown time zone europe/rome'],
    ],
    ['and are named', { timeZone: '+01:00' }, ['spec.timeZone: Invalid value: "+01:00": unknown time zone +01:00']],
    [
      'jobs get selectors of their own',
      { jobTemplate: { spec: { template, selector: {}, manualSelector: true } } },
      [
        'spec.jobTemplate.spec.selector: Invalid value: {}: `selector` will be auto-generated',
        'spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: "nil", "false"',
      ],
    ],
  ])('%s', (_what, spec, errors) => {
    expect(createErrors(CronJob, { metadata, spec: { schedule: '@daily', jobTemplate, ...spec } })).toEqual(errors)
  })

  test('a zone that stands in a schedule already may stay there, alone', () => {
    const zoned = { schedule: 'TZ=UTC 0 * * * *', jobTemplate }
    expect(updateErrors(CronJob, { metadata, spec: zoned }, { metadata, spec: { ...zoned, suspend: true } })).toEqual([])
    expect(updateErrors(CronJob, { metadata, spec: zoned }, { metadata, spec: { ...zoned, timeZone: 'UTC' } })).toEqual([
      'spec.schedule: Invalid value: "TZ=UTC 0 * * * *": cannot use both timeZone field and TZ or CRON_TZ in schedule',
    ])
    expect(CronJob.strategy.warnings!(created(CronJob, { metadata, spec: zoned }), created(CronJob, { metadata, spec: zoned }))).toEqual([
      'cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details',
    ])
  })
})
