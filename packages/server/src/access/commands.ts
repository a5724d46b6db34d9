/** Appends the records passed with it: a refusal changes nothing else. */
async function record(): Promise<void> {
  // The write lane appends `options.audit` in the same transaction.
}

export const accessCommands = {
  'access.record': record,
};
