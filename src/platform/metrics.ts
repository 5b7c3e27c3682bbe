// A small Prometheus registry: counters, gauges, histograms, and their text form (exposition format 0.0.4), written in pieces so
// that a scrape never holds the loop. Series per metric are bounded: what comes beyond the bound is counted as `other`.
import { readdirSync, readFileSync } from 'node:fs'

const seriesMaxDefault = 2_000

export interface Counter {
  inc(labels?: readonly string[], by?: number): void
  /** The series itself, for hot paths that know their labels beforehand. */
  series(labels: readonly string[]): { inc(by?: number): void }
}

export interface Gauge {
  set(value: number, labels?: readonly string[]): void
  add(by: number, labels?: readonly string[]): void
}

export interface Histogram {
  observe(value: number, labels?: readonly string[]): void
  series(labels: readonly string[]): { observe(value: number): void }
}

export interface MetricOptions {
  readonly name: string
  readonly help: string
  /** Label names; values are given in this order. */
  readonly labels?: readonly string[]
  readonly seriesMax?: number
}

export interface MetricsRegistry {
  counter(options: MetricOptions): Counter
  gauge(options: MetricOptions): Gauge
  /** A gauge that is asked for its value when it is read. */
  gaugeFrom(options: MetricOptions, read: () => number | readonly (readonly [labels: readonly string[], value: number])[]): void
  /** Likewise a counter, for what is counted elsewhere. */
  counterFrom(options: MetricOptions, read: () => number | readonly (readonly [labels: readonly string[], value: number])[]): void
  histogram(options: MetricOptions & { buckets: readonly number[] }): Histogram
  /** A histogram of what is counted elsewhere: of each series, the counts by bucket (one more than there are bounds) and the sum. */
  histogramFrom(
    options: MetricOptions & { buckets: readonly number[] },
    read: () => readonly (readonly [labels: readonly string[], cell: { readonly counts: Float64Array; readonly sum: number }])[],
  ): void
  /** The text, one metric family at a time; of those named only, if some are. */
  text(only?: ReadonlySet<string>): IterableIterator<string>
}

interface Family {
  text(): string
}

interface HistogramSeries {
  readonly counts: Float64Array
  sum: number
  observe(value: number): void
}

export function createMetrics(): MetricsRegistry {
  const families = new Map<string, Family>()
  const register = (name: string, family: Family): void => {
    if (families.has(name)) throw new Error(`assertion failed: metric ${name} is registered twice`)
    families.set(name, family)
  }
  return {
    counter(options) {
      const cells = seriesTable(options, () => {
        const cell = {
          value: 0,
          inc(by = 1): void {
            cell.value += by
          },
        }
        return cell
      })
      register(options.name, {
        text: () => head(options, 'counter') + cells.lines((labels, cell) => line(options.name, labels, cell.value)),
      })
      return { inc: (labels = [], by = 1) => cells.at(labels).inc(by), series: (labels) => cells.at(labels) }
    },
    gauge(options) {
      const cells = seriesTable(options, () => ({ value: 0 }))
      register(options.name, { text: () => head(options, 'gauge') + cells.lines((labels, cell) => line(options.name, labels, cell.value)) })
      return {
        set: (value, labels = []) => {
          cells.at(labels).value = value
        },
        add: (by, labels = []) => {
          cells.at(labels).value += by
        },
      }
    },
    gaugeFrom: (options, read) => register(options.name, { text: () => head(options, 'gauge') + readLines(options, read()) }),
    counterFrom: (options, read) => register(options.name, { text: () => head(options, 'counter') + readLines(options, read()) }),
    histogram(options) {
      const cells = seriesTable(options, () => histogramSeries(options.buckets))
      register(options.name, {
        text: () => head(options, 'histogram') + cells.lines((labels, cell) => histogramLines(options.name, options.buckets, labels, cell)),
      })
      return { observe: (value, labels = []) => cells.at(labels).observe(value), series: (labels) => cells.at(labels) }
    },
    histogramFrom: (options, read) =>
      register(options.name, {
        text: () =>
          head(options, 'histogram') +
          read()
            .map(([labels, cell]) => histogramLines(options.name, options.buckets, labelText(options.labels, labels), cell))
            .join(''),
      }),
    *text(only) {
      for (const [name, family] of families) if (only === undefined || only.has(name)) yield family.text()
    },
  }
}

function readLines(options: MetricOptions, values: number | readonly (readonly [labels: readonly string[], value: number])[]): string {
  const rows = typeof values === 'number' ? ([[[], values]] as const) : values
  return rows.map(([labels, value]) => line(options.name, labelText(options.labels, labels), value)).join('')
}

function histogramSeries(buckets: readonly number[]): HistogramSeries {
  const counts = new Float64Array(buckets.length + 1)
  const cell: HistogramSeries = {
    counts,
    sum: 0,
    observe(value) {
      let at = 0
      while (at < buckets.length && value > buckets[at]!) at++
      counts[at]!++
      cell.sum += value
    },
  }
  return cell
}

function histogramLines(name: string, buckets: readonly number[], labels: string, cell: Pick<HistogramSeries, 'counts' | 'sum'>): string {
  let total = 0
  let out = ''
  const prefix = labels === '' ? '' : `${labels},`
  for (let i = 0; i <= buckets.length; i++) {
    total += cell.counts[i]!
    const bound = i === buckets.length ? '+Inf' : String(buckets[i])
    out += `${name}_bucket{${prefix}le="${bound}"} ${total}\n`
  }
  return `${out}${line(`${name}_sum`, labels, cell.sum)}${line(`${name}_count`, labels, total)}`
}

// Series by their label values. Beyond the bound, everything new shares one series whose labels all read "other".
function seriesTable<Cell>(options: MetricOptions, create: () => Cell) {
  const cells = new Map<string, { readonly labels: string; readonly cell: Cell }>()
  const seriesMax = options.seriesMax ?? seriesMaxDefault
  const names = options.labels ?? []
  const open = (key: string, values: readonly string[]): Cell => {
    const cell = create()
    cells.set(key, { labels: labelText(names, values), cell })
    return cell
  }
  return {
    at(values: readonly string[]): Cell {
      const key = values.length === 1 ? values[0]! : values.join('\u0000')
      const found = cells.get(key)
      if (found !== undefined) return found.cell
      if (cells.size < seriesMax) return open(key, values)
      return (
        cells.get('\u0000other')?.cell ??
        open(
          '\u0000other',
          names.map(() => 'other'),
        )
      )
    },
    lines(write: (labels: string, cell: Cell) => string): string {
      let out = ''
      for (const { labels, cell } of cells.values()) out += write(labels, cell)
      return out
    },
  }
}

function head(options: MetricOptions, type: string): string {
  return `# HELP ${options.name} ${options.help.replace(/\n/g, ' ')}\n# TYPE ${options.name} ${type}\n`
}

function labelText(names: readonly string[] | undefined, values: readonly string[]): string {
  return (names ?? []).map((name, i) => `${name}="${escapeLabel(values[i] ?? '')}"`).join(',')
}

function escapeLabel(value: string): string {
  return value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
}

function line(name: string, labels: string, value: number): string {
  const text = value === Number.POSITIVE_INFINITY ? '+Inf' : value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
  return labels === '' ? `${name} ${text}\n` : `${name}{${labels}} ${text}\n`
}

const pageBytes = 4_096

// What a system does not tell is zero.
function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

function countOf(directory: string): number {
  try {
    return readdirSync(directory).length
  } catch {
    return 0
  }
}

function descriptorsMax(): number {
  return Number(/^Max open files\s+(\d+)/m.exec(readText('/proc/self/limits'))?.[1] ?? 0)
}

/** The process's own series, as every Prometheus client library names them. */
export function registerProcessMetrics(metrics: MetricsRegistry, startedAtMs: number): void {
  metrics.gaugeFrom({ name: 'process_resident_memory_bytes', help: 'Resident memory size in bytes.' }, () => process.memoryUsage.rss())
  metrics.gaugeFrom({ name: 'process_open_fds', help: 'Number of open file descriptors.' }, () => countOf('/proc/self/fd'))
  metrics.gaugeFrom({ name: 'process_max_fds', help: 'Maximum number of open file descriptors.' }, descriptorsMax)
  metrics.gaugeFrom(
    { name: 'process_virtual_memory_bytes', help: 'Virtual memory size in bytes.' },
    () => Number(readText('/proc/self/statm').split(' ')[0] ?? 0) * pageBytes,
  )
  metrics.counterFrom({ name: 'process_cpu_seconds_total', help: 'Total user and system CPU time spent in seconds.' }, () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  metrics.gaugeFrom(
    { name: 'process_start_time_seconds', help: 'Start time of the process since unix epoch in seconds.' },
    () => startedAtMs / 1000,
  )
}
