// ComponentStatus of the core group: computed when asked for, never stored. Deprecated since v1.19.
import type * as coreV1 from '../../generated/core-v1.ts'
import { column, defineKind } from '../../kind.ts'
import { nameColumn } from '../columns.ts'

export type ComponentStatus = coreV1.ComponentStatus

function healthy({ conditions }: ComponentStatus): coreV1.ComponentCondition | undefined {
  return conditions?.find(({ type }) => type === 'Healthy')
}

function statusCell(component: ComponentStatus): string {
  const condition = healthy(component)
  if (condition === undefined) return 'Unknown'
  return condition.status === 'True' ? 'Healthy' : 'Unhealthy'
}

export const ComponentStatus = defineKind<ComponentStatus>('core/v1/componentstatuses', {
  columns: [
    nameColumn,
    column<ComponentStatus>('Status', statusCell),
    column<ComponentStatus>('Message', (component) => healthy(component)?.message ?? ''),
    column<ComponentStatus>('Error', (component) => healthy(component)?.error ?? ''),
  ],
})
