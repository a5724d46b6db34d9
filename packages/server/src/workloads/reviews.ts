import { StrongroomError } from '@strongroom/contract';
import type { ReviewedToken } from '@strongroom/backends/kubernetes';
import type { OpenedClusters } from '../clusters/opened-clusters.ts';

/** A token to be checked, by the digest of its text. */
export interface TokenQuestion {
  readonly digest: string;
  readonly token: string;
  readonly clusterId: string;
  /** Of the cluster: what was known at another one is asked anew. */
  readonly clusterRevision: number;
  readonly audience: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

interface Known {
  /** As `performance.now()` says it: a clock that is set back makes nothing hold for longer. */
  readonly until: number;
  /** Of the token, in milliseconds since 1970. */
  readonly expiresAt: number;
  readonly answer: Promise<ReviewedToken | null>;
}

/**
 * For so long a cluster's word on a token holds: a deleted pod or ServiceAccount is refused ten seconds later at the latest. A
 * launch, which makes two calls at once, asks once.
 */
const knownMilliseconds = 10_000;
const maxKnown = 10_000;
/** Reviews under way at once; others are told to come again, so that nobody can make us press a cluster. */
const maxAtOnce = 32;
const reviewMilliseconds = 10_000;

/** Reviews of tokens by their clusters (TokenReview). Remembered under a digest: the process keeps nobody's token. */
export class TokenReviews {
  readonly #clusters: Pick<OpenedClusters, 'open'>;
  readonly #known = new Map<string, Known>();
  #underWay = 0;

  constructor(clusters: Pick<OpenedClusters, 'open'>) {
    this.#clusters = clusters;
  }

  /**
   * What the cluster says of the token; `null`: it does not take it.
   * @throws StrongroomError when the cluster could not be asked, `throttled` when too many are being asked about
   */
  ask(question: TokenQuestion): Promise<ReviewedToken | null> {
    const key = `${question.digest} ${question.clusterId} ${question.clusterRevision}`;
    const now = Date.now();
    const known = this.#known.get(key);
    if (known !== undefined && performance.now() < known.until && now < known.expiresAt) return known.answer;
    if (this.#underWay >= maxAtOnce)
      return Promise.reject(
        new StrongroomError('throttled', { detail: 'Too many tokens are being checked.', retryAfterSeconds: 1 }),
      );
    const entry = {
      until: performance.now() + knownMilliseconds,
      expiresAt: question.expiresAt,
      answer: this.#review(question),
    };
    // An outage is nothing that is known of the token.
    entry.answer.catch(() => {
      if (this.#known.get(key) === entry) this.#known.delete(key);
    });
    this.#known.delete(key);
    this.#known.set(key, entry);
    const [oldest] = this.#known.keys();
    if (this.#known.size > maxKnown && oldest !== undefined) this.#known.delete(oldest);
    return entry.answer;
  }

  async #review({ clusterId, token, audience }: TokenQuestion): Promise<ReviewedToken | null> {
    this.#underWay += 1;
    try {
      const signal = AbortSignal.timeout(reviewMilliseconds);
      const cluster = await this.#clusters.open(clusterId, signal);
      try {
        const { reviewToken } = await import('@strongroom/backends/kubernetes');
        return await reviewToken(cluster.api, token, audience, signal);
      } finally {
        cluster.release();
      }
    } finally {
      this.#underWay -= 1;
    }
  }
}
