type FindModule = (module: URL) => URL;

let find: FindModule = (module) => module;

/** The file to start a thread or a process with for this module: the module itself, unless there is a bundle of it. */
export function startedModule(module: URL): URL {
  return find(module);
}

/**
 * From now on others than the modules themselves may be started. Tests run the sources, and let what they start come from a
 * bundle of the same sources, which loads in a quarter of the time; a server has no use for this.
 */
export function findStartedModules(by: FindModule): void {
  find = by;
}
