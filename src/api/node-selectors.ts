// Which nodes a node selector or a pod's node affinity accepts. Compiled once, asked for many nodes.
import type { Node, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm, Pod } from './generated/core-v1.ts'
import { hasLabels, type Labels } from './label-selectors.ts'

type NodeLike = { metadata: { name: string; labels?: Labels } }

/** Terms are alternatives. No terms, and empty terms, match no node. */
export function nodeSelectorMatcher(selector: NodeSelector): (node: NodeLike) => boolean {
  const terms = selector.nodeSelectorTerms.map(nodeSelectorTermMatcher)
  return (node) => terms.some((matches) => matches(node))
}

/** All requirements of the term hold. An empty term matches no node. */
export function nodeSelectorTermMatcher(term: NodeSelectorTerm): (node: NodeLike) => boolean {
  const expressions = term.matchExpressions ?? []
  const fields = term.matchFields ?? []
  if (expressions.length === 0 && fields.length === 0) return () => false
  const onLabels = expressions.map(requirementMatcher)
  const onFields = fields.map(fieldMatcher)
  return (node) => onLabels.every((matches) => matches(node.metadata.labels ?? {})) && onFields.every((matches) => matches(node))
}

function requirementMatcher({ key, operator, values = [] }: NodeSelectorRequirement): (labels: Labels) => boolean {
  const has = (labels: Labels): boolean => Object.hasOwn(labels, key)
  const allowed = new Set(values)
  switch (operator) {
    case 'In':
      return (labels) => has(labels) && allowed.has(labels[key]!)
    case 'NotIn':
      return (labels) => !has(labels) || !allowed.has(labels[key]!)
    case 'Exists':
      return has
    case 'DoesNotExist':
      return (labels) => !has(labels)
    case 'Gt':
    case 'Lt': {
      const bound = parseInteger(values[0])
      return (labels) => {
        const value = has(labels) ? parseInteger(labels[key]) : undefined
        if (value === undefined || bound === undefined) return false
        return operator === 'Gt' ? value > bound : value < bound
      }
    }
    default:
      return () => false
  }
}

function parseInteger(text: string | undefined): bigint | undefined {
  return text !== undefined && /^[-+]?\d+$/.test(text) ? BigInt(text.replace('+', '')) : undefined
}

// metadata.name is the only field that nodes can be selected by.
function fieldMatcher({ key, operator, values = [] }: NodeSelectorRequirement): (node: NodeLike) => boolean {
  if (key !== 'metadata.name') return () => false
  if (operator === 'In') return (node) => values.includes(node.metadata.name)
  if (operator === 'NotIn') return (node) => !values.includes(node.metadata.name)
  return () => false
}

/** What the pod demands of its node: nodeSelector and required node affinity, both. */
export function requiredNodeMatcher(pod: Pick<Pod, 'spec'>): (node: NodeLike) => boolean {
  const { nodeSelector, affinity } = pod.spec
  const required = affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
  const matchesAffinity = required === undefined ? () => true : nodeSelectorMatcher(required)
  return (node) => hasLabels(node.metadata.labels, nodeSelector) && matchesAffinity(node)
}

export function matchesRequiredNode(pod: Pick<Pod, 'spec'>, node: Node): boolean {
  return requiredNodeMatcher(pod)(node)
}
