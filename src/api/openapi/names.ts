// Names in OpenAPI documents that are made of a group: tags, operation ids, definitions of custom kinds.

/** A group in one word: `core`, `apps`, `rbacAuthorization`. */
export function qualifiedGroup(group: string): string {
  if (group === '') return 'core'
  const parts = group.replace(/\.k8s\.io$/, '').split('.')
  return parts.map((part, i) => (i === 0 ? part : part.charAt(0).toUpperCase() + part.slice(1))).join('')
}

/** The definition of a custom kind: `com.example.v1.Widget`. */
export function definitionNameOf(group: string, version: string, kind: string): string {
  return [...group.split('.').reverse(), version, kind].join('.')
}

/** How operation ids name a group, and a version of it: `Core`, `CoreV1`, `RbacAuthorizationV1`. */
export function idPrefix({ group, version = '' }: { readonly group: string; readonly version?: string }): string {
  const text = qualifiedGroup(group)
  return text.charAt(0).toUpperCase() + text.slice(1) + version.charAt(0).toUpperCase() + version.slice(1)
}
