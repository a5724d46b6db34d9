/**
 * A script of the command line: what somebody types, and what has to come out. In the manner of txtar: commands first, then
 * files, each under `-- NAME --`.
 *
 *     [CODE] strongroom …   runs it in this process; CODE is its exit code, 0 when left out
 *     [CODE] exec …         runs a program of its own, `strongroom` being this one
 *     stdin FILE            what the next command reads; nothing when left out
 *     type FILE             what somebody types at the next command's prompts, one line each, on a terminal
 *     stdout PATTERN        a pattern the last command's stdout matches; `! stdout PATTERN` doesn't
 *     stderr PATTERN        the same for stderr
 *     json NAME PATH        sets NAME to a member of the JSON that was printed, `items.0.id`
 *     line NAME             sets NAME to the only line that was printed
 *     env NAME=VALUE        sets a variable of the environment; `env NAME=` takes it away
 *     mode FILE MODE        the file has this mode
 *     exists FILE           the file is there; `! exists FILE` isn't
 *     allow CANARY          the last output may hold this value: it was asked for
 *
 * `${NAME}` stands for a variable: DOMAIN (a domain of the script's own), ADMIN (the administrator's token), URL, HOME,
 * VAULT and VAULT_TOKEN (the address of a stand-in for Vault, and the token it takes), and CANARY_… (a value of its own, which nothing may show).
 */
export interface Script {
  readonly lines: readonly ScriptLine[];
  readonly files: ReadonlyMap<string, string>;
}

interface ScriptLine {
  readonly number: number;
  readonly text: string;
}

export function parseScript(text: string): Script {
  const [head = '', ...rest] = text.split(/^-- (?=\S+ --$)/m);
  const files = new Map<string, string>();
  for (const part of rest) {
    const end = part.indexOf(' --\n');
    // The newline before the next file, or the end, is the separator's.
    files.set(part.slice(0, end), part.slice(end + 4).replace(/\n$/, ''));
  }
  const lines = head
    .split('\n')
    .map((line, index) => ({ number: index + 1, text: line.trim() }))
    .filter(({ text: line }) => line !== '' && !line.startsWith('#'));
  return { lines, files };
}

/** Splits a line at blanks; quotes keep blanks, and nothing else is special. */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  for (const [, single, double, plain] of line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)) {
    words.push(single ?? double ?? plain ?? '');
  }
  return words;
}
