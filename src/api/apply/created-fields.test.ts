import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arbitraryObject } from '../schema/arbitrary.testing.ts'
import { builtinSchema } from '../schema/builtin.ts'
import { compareObjects } from './compare.ts'
import { emptyObject, fieldsOfCreated } from './created-fields.ts'
import { sortedFieldSet, union } from './field-set.ts'
import { PathElementError } from './path-element.ts'

const kinds = [
  ['v1', 'Pod'],
  ['v1', 'Service'],
  ['apps/v1', 'Deployment'],
  ['rbac.authorization.k8s.io/v1', 'ClusterRole'],
  ['apiextensions.k8s.io/v1', 'CustomResourceDefinition'],
  ['v1', 'Event'],
] as const

// What a general comparison says, or that some item has no name.
function outcome(run: () => unknown): unknown {
  try {
    return JSON.stringify(run())
  } catch (error) {
    if (error instanceof PathElementError) return error.message
    throw error
  }
}

describe('the fields of a created object', () => {
  test.each(kinds)('are those in which it differs from an empty one: %s %s', (apiVersion, kind) => {
    const schema = builtinSchema(apiVersion, kind)
    fc.assert(
      fc.property(arbitraryObject(schema), (object) => {
        const compared = outcome(() => {
          const changes = compareObjects(schema, emptyObject(schema), object)
          const set = union(changes?.modified, changes?.added)
          return set === undefined ? undefined : sortedFieldSet(set)
        })
        expect(outcome(() => fieldsOfCreated(schema, object))).toEqual(compared)
      }),
      { seed: 7, numRuns: 60 },
    )
  })
})
