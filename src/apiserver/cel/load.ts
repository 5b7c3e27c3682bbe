// The way to expressions: loads them when they are first needed.

export type Cel = typeof import('./cel.ts')

let loaded: Promise<Cel> | undefined

export function loadCel(): Promise<Cel> {
  loaded ??= import('./cel.ts')
  return loaded
}
