/** Packet types of SFTP version 3 (draft-ietf-secsh-filexfer-02 section 3). */
export const packet = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
  extended: 200,
  extendedReply: 201,
} as const

/** Status codes (section 7). */
export const status = {
  ok: 0,
  eof: 1,
  noSuchFile: 2,
  permissionDenied: 3,
  failure: 4,
  badMessage: 5,
  noConnection: 6,
  connectionLost: 7,
  opUnsupported: 8,
} as const

const statusNames = ['ok', 'eof', 'no_such_file', 'permission_denied', 'failure', 'bad_message', 'no_connection', 'connection_lost', 'op_unsupported']

/** A status for logs: the server's own text is the target's word and stays out of them. */
export function statusName(code: number): string {
  return statusNames[code] ?? `status_${code}`
}

/** Bits of an OPEN (section 6.3). */
export const openFlag = { read: 1, write: 2, append: 4, create: 8, truncate: 16, exclusive: 32 } as const
export const allOpenFlags = 63

/** ATTRS (section 5). `raw` is what it was read from, so that it can be sent on unchanged. */
export interface Attributes {
  readonly raw: Buffer
  readonly size?: bigint
  readonly uid?: number
  readonly gid?: number
  readonly permissions?: number
  readonly atime?: number
  readonly mtime?: number
  /** Number of name-value pairs. */
  readonly extended: number
}

export type PathKind = 'lstat' | 'stat' | 'opendir' | 'remove' | 'rmdir' | 'realpath' | 'readlink' | 'statvfs' | 'expand-path'
export type HandleKind = 'close' | 'fstat' | 'readdir' | 'fstatvfs' | 'fsync'

/** What a client may ask. Paths and handles are bytes as they came. */
export type Request =
  | { readonly kind: 'open'; readonly id: number; readonly path: Buffer; readonly flags: number; readonly attributes: Attributes }
  | { readonly kind: PathKind; readonly id: number; readonly path: Buffer }
  | { readonly kind: HandleKind; readonly id: number; readonly handle: Buffer }
  | { readonly kind: 'read'; readonly id: number; readonly handle: Buffer; readonly offset: number; readonly length: number }
  | { readonly kind: 'write'; readonly id: number; readonly handle: Buffer; readonly offset: number; readonly data: Buffer }
  | { readonly kind: 'setstat' | 'lsetstat' | 'mkdir'; readonly id: number; readonly path: Buffer; readonly attributes: Attributes }
  | { readonly kind: 'fsetstat'; readonly id: number; readonly handle: Buffer; readonly attributes: Attributes }
  | { readonly kind: 'rename' | 'posix-rename' | 'hardlink'; readonly id: number; readonly from: Buffer; readonly to: Buffer }
  | { readonly kind: 'symlink'; readonly id: number; readonly target: Buffer; readonly link: Buffer }
  | { readonly kind: 'limits'; readonly id: number }
  | { readonly kind: 'copy-data'; readonly id: number; readonly from: Buffer; readonly to: Buffer; readonly length: number }
  | { readonly kind: 'home-directory'; readonly id: number; readonly user: Buffer }
  | { readonly kind: 'users-groups'; readonly id: number; readonly uids: readonly number[]; readonly gids: readonly number[] }
  | { readonly kind: 'unknown-extended'; readonly id: number; readonly name: string }

export interface NameEntry {
  readonly name: Buffer
  readonly attributes: Attributes
}

/** What a server may answer. */
export type Reply =
  | { readonly kind: 'status'; readonly id: number; readonly code: number; readonly message: string }
  | { readonly kind: 'handle'; readonly id: number; readonly handle: Buffer }
  | { readonly kind: 'data'; readonly id: number; readonly data: Buffer }
  | { readonly kind: 'name'; readonly id: number; readonly entries: readonly NameEntry[] }
  | { readonly kind: 'attrs'; readonly id: number; readonly attributes: Attributes }
  | { readonly kind: 'extended'; readonly id: number }
