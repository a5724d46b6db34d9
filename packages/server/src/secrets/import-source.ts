import { StrongroomError } from '@strongroom/contract';
import type { Caller, ScopeRef } from '../access/types.ts';
import { type ImportFormat, readImport } from './import-file.ts';
import { type ParsedValue, parseValue } from './values.ts';

/** Where an import takes its secrets from. */
export interface ImportSource {
  /** Their keys here, or why one can't be taken. */
  readonly entries: readonly { readonly key: string; readonly refusal?: string | undefined }[];
  /** Whether a dry run looks at the values, too: those of a file are here anyway. */
  readonly hasValues: boolean;
  /** A value for each of these keys, made anew at each call and destroyed by the caller; a text says why there is none. */
  take(keys: readonly string[]): Promise<ReadonlyMap<string, ParsedValue | string>>;
  close(): void;
}

/** What to read of an integration. */
export interface IntegrationPart {
  readonly integration: string;
  /** Of keys in the integration. */
  readonly prefix?: string;
}

/** Opens an integration as a source. @throws StrongroomError `not_found`, `permission_missing`; of the backend */
export type OpenIntegrationSource = (
  caller: Caller,
  scope: ScopeRef,
  part: IntegrationPart & { readonly keyPrefix: string; readonly maxValueBytes: number },
  signal: AbortSignal,
) => Promise<ImportSource>;

/** @throws StrongroomError of {@link readImport} */
export function fileSource(format: ImportFormat, content: string, keyPrefix: string, maxBytes: number): ImportSource {
  const entries = readImport(format, content, keyPrefix);
  const inputs = new Map(entries.flatMap((entry) => ('input' in entry ? [[entry.key, entry.input] as const] : [])));
  return {
    entries,
    hasValues: true,
    async take(keys) {
      return new Map(
        keys.map((key) => [
          key,
          orReason(() => {
            const input = inputs.get(key);
            return input === undefined ? 'is not in the file' : parseValue(input, maxBytes);
          }),
        ]),
      );
    },
    close: () => inputs.clear(),
  };
}

/** What a value that can't be taken is refused for. */
export function orReason(read: () => ParsedValue | string): ParsedValue | string {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof StrongroomError)) throw error;
    return error.errors?.[0]?.message ?? error.message;
  }
}
