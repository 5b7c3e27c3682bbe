// Expressions that select devices (KEP-4381): they compile, to a condition, and cost no more than one may, for the largest device
// that can be described.
import type { FieldError } from '#api/errors'
import type * as resourceV1 from '#api/generated/resource-v1'
import { forbidden, internalFieldError, invalid } from '#api/validation/field-errors'
import type { Environment } from '../../cel/check.ts'
import { loadCel } from '../../cel/load.ts'
import { bool, dyn, formatType, objectOf, parseType, string, type Type } from '../../cel/types.ts'

const expressionCostMax = 1_000_000
const expressionBytesMax = 10 * 1024

// The bounds of what describes a device: attributes and capacities, and the lengths of their names and values.
const namesMax = 32
const idMax = 32
const domainMax = 63
const valueMax = 64

const byQualifiedName = (value: Type): Type => ({
  kind: 'map',
  key: { ...string, max: domainMax },
  value: { kind: 'map', key: { ...string, max: idMax }, value, max: namesMax },
  max: namesMax,
})

const environment: Environment = {
  variables: {
    device: objectOf('kubernetes.DRADevice', {
      driver: { ...string, max: domainMax },
      allowMultipleAllocations: bool,
      attributes: byQualifiedName({ ...dyn, max: valueMax }),
      capacity: byQualifiedName(parseType('kubernetes.Quantity')),
    }),
  },
  binds: true,
}

/** What is wrong with the selectors of a claim, below the path of its spec. */
export async function checkClaim({ devices }: resourceV1.ResourceClaimSpec, path: string): Promise<FieldError[]> {
  const errors: FieldError[] = []
  for (const [i, { exactly, firstAvailable = [] }] of (devices?.requests ?? []).entries()) {
    const at = `${path}.devices.requests[${i}]`
    errors.push(...(await checkSelectors(exactly?.selectors, `${at}.exactly.selectors`)))
    for (const [j, { selectors }] of firstAvailable.entries()) {
      errors.push(...(await checkSelectors(selectors, `${at}.firstAvailable[${j}].selectors`)))
    }
  }
  return errors
}

/** What is wrong with selectors. Those that are too long to be looked at are somebody else's to refuse. */
export async function checkSelectors(selectors: readonly resourceV1.DeviceSelector[] | undefined, path: string): Promise<FieldError[]> {
  const errors: FieldError[] = []
  for (const [i, { cel }] of (selectors ?? []).entries()) {
    if (!cel?.expression || cel.expression.length > expressionBytesMax) continue
    const error = await problem(cel.expression, `${path}[${i}].cel.expression`)
    if (error !== undefined) errors.push(error)
  }
  return errors
}

async function problem(source: string, path: string): Promise<FieldError | undefined> {
  const cel = await loadCel()
  try {
    const { type, costMax } = await cel.compile(source, environment)
    if (type.kind !== 'bool' && type.kind !== 'dyn') {
      return invalid(path, source, `must evaluate to bool or the unknown type, not ${formatType(type)}`)
    }
    return costMax > expressionCostMax ? forbidden(path, 'too complex, exceeds cost limit') : undefined
  } catch (error) {
    if (error instanceof cel.CelProgramError) return internalFieldError(path, `program instantiation failed: ${error.message}`)
    if (error instanceof cel.CelCompileError) return invalid(path, source, `compilation failed: ${error.message}`)
    throw error
  }
}
