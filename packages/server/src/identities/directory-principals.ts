/** A user or a group that comes from a directory, as it is kept here. */
export interface DirectoryPrincipal {
  readonly id: string;
  readonly kind: 'user' | 'group';
  readonly name: string;
  readonly displayName: string;
  readonly email: string | null;
  /** What names it in the directory. */
  readonly directoryId: string;
  /** The directory had it no more. */
  readonly isAbsent: boolean;
}

/** Who added what a sync added: memberships that people made are left alone. */
export const directoryAuthor = 'system:directory';

/** An entry that was left alone. */
export interface DirectoryConflict {
  readonly kind: 'user' | 'group';
  readonly name: string;
  /** `name-taken`: by another principal, which is never merged with it. */
  readonly reason: 'name-taken' | 'name-invalid' | 'duplicate' | 'last-admin';
}
