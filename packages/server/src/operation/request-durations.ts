import { Histogram, type Registry } from 'prom-client';

const name = 'strongroom_http_request_duration_seconds';
const help = 'Time from the first byte of a request to the last of its answer';
/** Upper bounds of the buckets, in seconds. */
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Series {
  readonly route: string;
  readonly status: number;
  /** Not cumulative; the last one is of what is above all bounds. */
  readonly counts: number[];
  sum: number;
}

/**
 * The library's histogram with another way to count. Its own looks up, sorts and joins the labels of every observation, which
 * is a tenth of what a read of metadata costs.
 */
export class RequestDurations extends Histogram {
  readonly #byStatus = new Map<number, Map<string, Series>>();

  constructor(registry: Registry) {
    super({
      name,
      help,
      labelNames: ['route', 'status'],
      buckets: bounds,
      registers: [registry],
    });
  }

  count(route: string, status: number, seconds: number): void {
    let byRoute = this.#byStatus.get(status);
    if (byRoute === undefined) this.#byStatus.set(status, (byRoute = new Map()));
    let series = byRoute.get(route);
    if (series === undefined)
      byRoute.set(
        route,
        (series = { route, status, counts: Array.from({ length: bounds.length + 1 }, () => 0), sum: 0 }),
      );
    let bucket = 0;
    while (bucket < bounds.length && seconds > (bounds[bucket] ?? 0)) bucket += 1;
    series.counts[bucket] = (series.counts[bucket] ?? 0) + 1;
    series.sum += seconds;
  }

  /** What the registry makes text from. */
  async getForPromString() {
    const values = [...this.#byStatus.values()].flatMap((byRoute) => [...byRoute.values()].flatMap(valuesOf));
    return { name, help, type: 'histogram', aggregator: 'sum', values };
  }
}

function valuesOf({ route, status, counts, sum }: Series) {
  const labels = { route, status };
  let total = 0;
  const buckets = counts.map((count, index) => {
    total += count;
    return {
      metricName: `${name}_bucket`,
      labels: { le: bounds[index] ?? '+Inf' },
      sharedLabels: labels,
      value: total,
    };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, sharedLabels: {}, value: sum },
    { metricName: `${name}_count`, labels, sharedLabels: {}, value: total },
  ];
}
