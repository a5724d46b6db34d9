import type { Argument, Command, Option } from 'commander';

/** What can stand at the end of a command line. */
export interface Candidate {
  readonly word: string;
  readonly summary: string;
}

/** What a command line is in the middle of. */
export type Place =
  | { readonly kind: 'words'; readonly candidates: readonly Candidate[] }
  /** Something that the server has a list of. */
  | {
      readonly kind: 'list';
      readonly what: string;
      /** `--domain` and its like, as far as typed. */
      readonly options: ReadonlyMap<string, string>;
    };

/**
 * Reads an unfinished command line against the command tree.
 * @param words all of them, without the program's name; the last is being typed and may be empty
 */
export function findPlace(program: Command, words: readonly string[]): Place {
  const typed = words.at(-1) ?? '';
  const reading = read(program, words.slice(0, -1));
  if (reading.isAfterDashes) return { kind: 'words', candidates: [] };
  if (reading.awaited !== undefined) return valuesOf(reading.awaited, reading, typed);
  if (typed.startsWith('-')) return { kind: 'words', candidates: optionsOf(reading.command, typed) };
  const { command, args } = reading;
  const subcommands = command.createHelp().visibleCommands(command);
  if (args.length === 0 && subcommands.length > 0) {
    const candidates = subcommands.map((each) => ({ word: each.name(), summary: each.description() }));
    return { kind: 'words', candidates: candidates.filter(({ word }) => word.startsWith(typed)) };
  }
  const argument = command.registeredArguments[args.length];
  return argument === undefined ? { kind: 'words', candidates: [] } : valuesOf(argument, reading, typed);
}

interface Reading {
  readonly command: Command;
  readonly args: readonly string[];
  readonly options: ReadonlyMap<string, string>;
  /** An option whose value comes next. */
  readonly awaited: Option | undefined;
  readonly isAfterDashes: boolean;
}

function read(program: Command, words: readonly string[]): Reading {
  let command = program;
  let args: string[] = [];
  let awaited: Option | undefined;
  const options = new Map<string, string>();
  for (const word of words) {
    if (awaited !== undefined) {
      options.set(awaited.attributeName(), word);
      awaited = undefined;
      continue;
    }
    if (word === '--') return { command, args, options, awaited, isAfterDashes: true };
    if (word.startsWith('-')) {
      const [flag = '', value] = word.split('=', 2);
      const option = findOption(command, flag);
      if (option === undefined) continue;
      if (value !== undefined || !option.required) options.set(option.attributeName(), value ?? 'true');
      else awaited = option;
      continue;
    }
    const next = args.length === 0 ? command.commands.find((each) => each.name() === word) : undefined;
    if (next === undefined) args = [...args, word];
    else command = next;
  }
  return { command, args, options, awaited, isAfterDashes: false };
}

function findOption(command: Command, flag: string): Option | undefined {
  for (let each: Command | null = command; each !== null; each = each.parent) {
    const found = each.options.find((option) => option.long === flag || option.short === flag);
    if (found !== undefined) return found;
  }
  return undefined;
}

function optionsOf(command: Command, typed: string): Candidate[] {
  const help = command.createHelp();
  const found: Candidate[] = [];
  for (const option of [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)]) {
    const word = option.long;
    if (word?.startsWith(typed) === true) found.push({ word, summary: option.description });
  }
  return found;
}

function valuesOf(of: Option | Argument, { command, options }: Reading, typed: string): Place {
  const { argChoices } = of;
  if (argChoices !== undefined) {
    const words = argChoices.filter((choice) => choice.startsWith(typed));
    return { kind: 'words', candidates: words.map((word) => ({ word, summary: '' })) };
  }
  const name = 'attributeName' in of ? of.attributeName() : of.name();
  // `domain show NAME`: a name of what the group is about.
  const what = name === 'name' && !('attributeName' in of) ? (command.parent?.name() ?? name) : name;
  return { kind: 'list', what, options };
}
