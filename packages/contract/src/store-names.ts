/** Where the values of a scope can be, as people write it. */
export const storeNames = ['database', 'kubernetes', 'vault'] as const;
export type StoreName = (typeof storeNames)[number];
