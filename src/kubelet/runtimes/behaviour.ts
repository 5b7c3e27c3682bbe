// What a test wants a container's process to do, said without naming a program: a shell command on real engines, a few lines of
// TypeScript on the fake one (fake/behaviours.ts).

export type Behaviour =
  /** Writes its words, then exits. */
  | { readonly do: 'exit'; readonly code: number; readonly stdout?: string; readonly stderr?: string; readonly afterMs?: number }
  /** Runs until SIGTERM, then exits with 0. */
  | { readonly do: 'run'; readonly stdout?: string }
  /** Runs until SIGKILL. */
  | { readonly do: 'ignoreTerm' }
  /** Copies stdin to stdout; exits with 0 at the end of stdin. */
  | { readonly do: 'cat' }
  /** Prints one environment variable, the working directory, one file and the arguments, a line each. */
  | { readonly do: 'describe'; readonly variable: string; readonly file: string }
  /** Prints `count` lines `line <n>`, one every `everyMs`, then runs until SIGTERM. */
  | { readonly do: 'count'; readonly count: number; readonly everyMs: number }
  /** Prints one line of that many `x`, then exits with 0. */
  | { readonly do: 'longLine'; readonly bytes: number }
  /** Accepts TCP connections on the port and sends back what comes. */
  | { readonly do: 'echoServer'; readonly port: number }
  /** Takes memory until it is killed for it. */
  | { readonly do: 'takeMemory' }
  /** Says `tty` or `none`, then the terminal's `rows columns` after each line of input; exits with 7 at the line `end`. */
  | { readonly do: 'terminal' }

/** The behaviour as a command for an image with a POSIX shell and busybox's applets. */
export function shellCommand(behaviour: Behaviour): string[] {
  switch (behaviour.do) {
    case 'exit': {
      const { code, stdout = '', stderr = '', afterMs = 0 } = behaviour
      const script = '[ "$1" = 0 ] || sleep "$1"; printf %s "$2"; printf %s "$3" >&2; exit "$4"'
      return ['sh', '-c', script, 'sh', String(afterMs / 1000), stdout, stderr, String(code)]
    }
    case 'run':
      return ['sh', '-c', 'trap "exit 0" TERM; printf %s "$1"; while :; do sleep 1 & wait $!; done', 'sh', behaviour.stdout ?? '']
    case 'ignoreTerm':
      return ['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 1; done']
    case 'cat':
      return ['cat']
    case 'describe': {
      const script = 'eval "echo \\"\\$$1\\""; pwd; cat "$2"; shift 2; echo "$@"'
      return ['sh', '-c', script, 'sh', behaviour.variable, behaviour.file]
    }
    case 'count': {
      const script =
        'trap "exit 0" TERM; i=1; while [ $i -le "$1" ]; do echo "line $i"; sleep "$2"; i=$((i+1)); done; while :; do sleep 1 & wait $!; done'
      return ['sh', '-c', script, 'sh', String(behaviour.count), String(behaviour.everyMs / 1000)]
    }
    case 'longLine':
      return ['sh', '-c', 'head -c "$1" /dev/zero | tr "\\0" x; echo', 'sh', String(behaviour.bytes)]
    case 'echoServer':
      return ['nc', '-ll', '-p', String(behaviour.port), '-e', 'cat']
    case 'takeMemory':
      return ['tail', '/dev/zero']
    case 'terminal':
      return ['sh', '-c', 'if [ -t 0 ]; then echo tty; else echo none; fi; while read x; do [ "$x" = end ] && exit 7; stty size; done']
  }
}
