/** Something signed, or linked to something signed, says that a chain had this hash at this sequence. */
export interface Claim {
  readonly sequence: number;
  /** Lower-case hex. */
  readonly hash: string;
  readonly epoch: number;
  /** `anchor` and `checkpoint` are signed themselves, `genesis` as far as the chain it is in. */
  readonly kind: 'anchor' | 'checkpoint' | 'genesis';
  /** The anchor's name and line, the checkpoint's id, the chain of the genesis. */
  readonly where: string;
}

const maxClaimsOfAKind = 8192;

/**
 * The claims about one chain in bounded memory: when there are too many of a kind, every second is forgotten, never the one
 * with the highest sequence. The chain's own hashes bind everything before a claim, so forgetting one finds as much, only
 * named less exactly.
 */
export class ChainClaims {
  readonly #kinds = new Map<Claim['kind'], Claim[]>();

  add(claim: Claim): void {
    const claims = this.#kinds.get(claim.kind) ?? [];
    claims.push(claim);
    const isFull = claims.length > maxClaimsOfAKind;
    this.#kinds.set(claim.kind, isFull ? thin(distinct(claims)) : claims);
  }

  /** By sequence; what several witnesses of a kind say counts once. */
  sorted(): Claim[] {
    return [...this.#kinds.values()].flatMap((claims) => distinct(claims)).sort((a, b) => a.sequence - b.sequence);
  }
}

function distinct(claims: readonly Claim[]): Claim[] {
  const byPlace = new Map(claims.map((claim) => [`${claim.sequence} ${claim.hash}`, claim]));
  return [...byPlace.values()].sort((a, b) => a.sequence - b.sequence);
}

function thin(sorted: readonly Claim[]): Claim[] {
  return sorted.filter((_, index) => index % 2 === 0 || index === sorted.length - 1);
}

/** Claims by chain. */
export class Claims {
  readonly #chains = new Map<string, ChainClaims>();

  add(chain: string, claim: Claim): void {
    let claims = this.#chains.get(chain);
    if (claims === undefined) this.#chains.set(chain, (claims = new ChainClaims()));
    claims.add(claim);
  }

  of(chain: string): readonly Claim[] {
    return this.#chains.get(chain)?.sorted() ?? [];
  }

  chains(): Iterable<string> {
    return this.#chains.keys();
  }
}

export function describeClaim(claim: Claim): string {
  switch (claim.kind) {
    case 'anchor':
      return `the anchor (${claim.where})`;
    case 'checkpoint':
      return `checkpoint ${claim.where}`;
    case 'genesis':
      return `the first record of chain ${claim.where}`;
  }
}
