/** Prometheus text by hand: counters, a histogram of durations, and gauges read when asked. */

const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export interface Gauge {
  name: string;
  help: string;
  /** null: not known now, and left out. */
  read: () => number | null;
}

export interface Metrics {
  /** One answered request; `seconds` from its first byte to the end of the answer. */
  request(route: string, method: string, status: number, seconds: number): void;
  /** The text of /metrics (exposition format 0.0.4). */
  render(gauges: readonly Gauge[]): string;
}

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

interface Series {
  count: number;
  sum: number;
  buckets: number[];
}

export function createMetrics(): Metrics {
  const requests = new Map<string, number>();
  const durations = new Map<string, Series>();
  return {
    request(route, method, status, seconds) {
      const key = labels({ route, method, status: String(status) });
      requests.set(key, (requests.get(key) ?? 0) + 1);
      observe(durations, labels({ route }), seconds);
    },
    render(gauges) {
      const lines: string[] = [];
      head(lines, 'haivemind_http_requests_total', 'counter', 'Requests answered.');
      for (const [key, count] of requests) lines.push(`haivemind_http_requests_total{${key}} ${count}`);
      head(lines, 'haivemind_http_request_duration_seconds', 'histogram', 'Time to answer a request.');
      for (const [key, series] of durations) renderSeries(lines, key, series);
      for (const gauge of gauges) {
        const value = gauge.read();
        if (value === null) continue;
        head(lines, gauge.name, 'gauge', gauge.help);
        lines.push(`${gauge.name} ${value}`);
      }
      return `${lines.join('\n')}\n`;
    },
  };
}

/** What the process itself costs. */
export const PROCESS_GAUGES: readonly Gauge[] = [
  { name: 'process_resident_memory_bytes', help: 'Resident memory.', read: () => process.memoryUsage.rss() },
  { name: 'nodejs_heap_used_bytes', help: 'JavaScript heap in use.', read: () => process.memoryUsage().heapUsed },
  { name: 'process_cpu_seconds', help: 'CPU time used.', read: () => cpuSeconds() },
  { name: 'process_uptime_seconds', help: 'Time since start.', read: () => process.uptime() },
];

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

function observe(into: Map<string, Series>, key: string, seconds: number): void {
  let series = into.get(key);
  if (series === undefined) {
    series = { count: 0, sum: 0, buckets: BUCKETS.map(() => 0) };
    into.set(key, series);
  }
  series.count++;
  series.sum += seconds;
  const at = BUCKETS.findIndex((le) => seconds <= le);
  if (at !== -1) series.buckets[at] = (series.buckets[at] ?? 0) + 1;
}

function renderSeries(lines: string[], key: string, series: Series): void {
  const name = 'haivemind_http_request_duration_seconds';
  let below = 0;
  BUCKETS.forEach((le, i) => {
    below += series.buckets[i] ?? 0;
    lines.push(`${name}_bucket{${key},le="${le}"} ${below}`);
  });
  lines.push(`${name}_bucket{${key},le="+Inf"} ${series.count}`);
  lines.push(`${name}_sum{${key}} ${series.sum}`);
  lines.push(`${name}_count{${key}} ${series.count}`);
}

function head(lines: string[], name: string, type: string, help: string): void {
  lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
}

function labels(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}="${value.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"`)
    .join(',');
}
