import { platformRoles, type PlatformRole } from '@strongroom/contract/roles';
import { InvalidArgumentError, Option } from 'commander';

const words = platformRoles.join(', ');

/** `--role`, which may be repeated, written in any case. */
export function roleOption(description = `a platform role, may be repeated; all at once (${words})`): Option {
  return new Option('--role <role>', description).argParser(collectRole);
}

function collectRole(text: string, previous: readonly PlatformRole[] = []): PlatformRole[] {
  const role = platformRoles.find((each) => each === text.toUpperCase());
  if (role === undefined) throw new InvalidArgumentError(`It is one of ${words}.`);
  return [...previous, role];
}
