import type { ErrorObject } from 'ajv';

/** More errors than are named in an answer; of all there may be as many as a body has bytes. */
const maxErrors = 2000;

/** A branch of a union that an error is in. */
interface Branch {
  /** Of the union: where it is in the schema, and where in the data. */
  readonly union: string;
  readonly number: string;
  /** The error says that a constant among the branch's own properties, such as `type` or `method`, is another one. */
  readonly isOther: boolean;
}

/**
 * What is wrong with the kind that was meant. A value that fits none of a union's branches has errors in each of them; what
 * another kind would need is no help to who sent this one. Where the kind itself is none of them, that alone is said.
 *
 * @param errors all that were found, in the order of the schema
 */
export function errorsOfMeantBranches(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  const read = errors.slice(0, maxErrors).map((error) => ({ error, branches: branchesOf(error) }));
  /** By union: its branches with errors. */
  const failed = new Map<string, Set<string>>();
  /** By union: those of them that are another kind. */
  const others = new Map<string, Set<string>>();
  for (const { branches } of read)
    for (const { union, number, isOther } of branches) {
      add(failed, union, number);
      if (isOther) add(others, union, number);
    }
  return read
    .filter(({ branches }) =>
      branches.every(({ union, number, isOther }) => {
        const known = others.get(union);
        if (known?.has(number) !== true) return true;
        const isNone = known.size === failed.get(union)?.size;
        return isNone && isOther;
      }),
    )
    .map(({ error }) => error);
}

function add(sets: Map<string, Set<string>>, key: string, value: string): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([value]));
  else set.add(value);
}

/** Outermost first. Walks the way through the schema and the one through the data together. */
function branchesOf({ schemaPath, instancePath }: ErrorObject): Branch[] {
  const schema = schemaPath.split('/');
  const data = instancePath.split('/');
  const branches: Branch[] = [];
  let depth = 1;
  for (let at = 1; at < schema.length; at += 1) {
    const step = schema[at];
    if (step === 'properties' || step === 'patternProperties') {
      depth += 1;
      at += 1;
    } else if (step === 'items') depth += 1;
    else if (step === 'anyOf' && at + 2 < schema.length) {
      const rest = schema.slice(at + 2);
      branches.push({
        union: `${schema.slice(0, at).join('/')} ${data.slice(0, depth).join('/')}`,
        number: schema[at + 1] ?? '',
        isOther: rest.length === 3 && rest[0] === 'properties' && rest[2] === 'const',
      });
      at += 1;
    }
  }
  return branches;
}
