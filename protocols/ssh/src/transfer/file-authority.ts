/** Becomes the action `ssh.sftp.<name>` of an effect. */
export type FileAction =
  'read' | 'write' | 'list' | 'stat' | 'setstat' | 'remove' | 'rename' | 'mkdir' | 'rmdir' | 'link' | 'symlink' | 'readlink'

export interface FileEffect {
  readonly action: FileAction
  /** Absolute and canonical on the target: no `.`, no `..`, no symbolic link that the operation would follow. */
  readonly path: string
  readonly details?: Record<string, string | number | boolean>
}

/** One thing that a client wants to do with files: what a policy decides. */
export interface FileOperation {
  readonly effects: readonly FileEffect[]
  /** For people, such as `sftp get "/var/log/syslog"`. Holds no control characters. */
  readonly text: string
}

/** What became of an operation that was allowed. */
export interface FileResult {
  readonly bytesRead?: number
  readonly bytesWritten?: number
  /**
   * Of the whole content, in hexadecimal. Left out when the content wasn't read or written whole and in order, or the channel
   * changed the file beside it. What others on the target do, and the same file under another hard link, isn't seen.
   */
  readonly sha256?: string
  /**
   * `ok`; `complete`, `partial`, `non-sequential` for content; `interrupted` when the channel ended first;
   * otherwise the server's refusal, such as `no_such_file`.
   */
  readonly status?: string
}

export type FileVerdict =
  /** `finish` is called exactly once, at the latest when the channel ends. */
  | { readonly allowed: true; finish(result: FileResult): void }
  /** `message` is what the client is told. */
  | { readonly allowed: false; readonly message: string }

/** Decides operations. A decision may take as long as a person takes; a rejected promise counts as a denial. */
export interface FileAuthority {
  decide(operation: FileOperation): FileVerdict | Promise<FileVerdict>
}

/** Where a filter's bytes go. `fail` is called at most once; nothing follows it, and the channel is to be closed. */
export interface FilterSinks {
  toServer(bytes: Buffer): void
  toClient(bytes: Buffer): void
  fail(reason: string): void
}
