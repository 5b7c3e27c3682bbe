// A configuration file as the server sees it: its text, and news of another one.

export interface ConfigFile {
  readonly text: string
  /** Calls back with each new text until the signal aborts. */
  follow(changed: (text: string) => void, signal: AbortSignal): void
}

/** A text that stays as it is. */
export function fixedConfig(text: string): ConfigFile {
  return { text, follow: () => {} }
}
