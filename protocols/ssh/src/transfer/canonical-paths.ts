import { decodePath, isCanonical, joinPath, lexical, splitPath } from './paths.js'
import type { ServerLink } from './server-link.js'
import { encodeString, packet, status } from './sftp-codec.js'

/** A request that the filter answers itself, with a status of SFTP. */
export class RequestRefused extends Error {
  override readonly name = 'RequestRefused'
  constructor(
    readonly code: number,
    message: string,
  ) {
    super(message)
  }
}

export interface CanonicalPath {
  /** Where `missing` is set, only the spelling that was asked for, tidied. */
  readonly path: string
  /** The object can't be reached: the server's status. */
  readonly missing?: { readonly code: number; readonly message: string }
}

const maxMissingLevels = 32

type Resolved = { readonly path: string } | { readonly code: number; readonly message: string }

/**
 * Turns the names in requests into canonical paths by the target's own REALPATH, so that a decision is about the object that the
 * target will touch. It rests on REALPATH following symbolic links, as OpenSSH's sftp-server does.
 */
export class CanonicalPaths {
  readonly #link: ServerLink
  #home: string | undefined

  constructor(link: ServerLink) {
    this.#link = link
  }

  /** The directory where relative paths start. */
  get home(): string | undefined {
    return this.#home
  }

  /** Learns the directory where relative paths start. The server keeps it for the whole session. */
  async findHome(): Promise<void> {
    try {
      const found = await this.#realpath('.')
      if ('path' in found) this.#home = found.path
    } catch (error) {
      // Without a clean name for it, relative paths are refused; absolute ones aren't concerned.
      if (!(error instanceof RequestRefused)) throw error
    }
  }

  /** @throws {RequestRefused} for a name that isn't clean text, or is relative to nowhere */
  absolute(bytes: Buffer): string {
    const text = decodePath(bytes)
    if (text === undefined) throw new RequestRefused(status.permissionDenied, 'a path must be UTF-8 without control characters')
    if (text === '') throw new RequestRefused(status.noSuchFile, 'the path is empty')
    if (text.startsWith('/')) return text
    if (this.#home === undefined) throw new RequestRefused(status.permissionDenied, 'the target did not say where relative paths start')
    return joinPath(this.#home, text)
  }

  /** For operations that follow a symbolic link at the end: open, stat, setstat, opendir. `path` is absolute. */
  async follow(path: string): Promise<CanonicalPath> {
    const whole = await this.#realpath(path)
    if ('path' in whole) return whole
    if (whole.code !== status.noSuchFile) return { path: lexical(path), missing: whole }
    const { parent, name } = splitPath(path)
    const directory = name === undefined ? whole : await this.#realpath(parent)
    if (!('path' in directory) || name === undefined) return { path: lexical(path), missing: whole }
    const joined = joinPath(directory.path, name)
    // A dangling link is here, but where it points isn't: opening it would create a file elsewhere than was decided.
    const there = await this.#link.ask(packet.lstat, [encodeString(joined)], ['attrs'])
    const absent = there.kind === 'status' && there.code === status.noSuchFile
    return absent ? { path: joined } : { path: joined, missing: whole }
  }

  /** For operations on the name itself: lstat, remove, rename, links. `path` is absolute. */
  async named(path: string): Promise<CanonicalPath> {
    const { parent, name } = splitPath(path)
    if (name === undefined) return this.follow(path)
    const directory = await this.#realpath(parent)
    return 'path' in directory ? { path: joinPath(directory.path, name) } : { path: lexical(path), missing: directory }
  }

  /**
   * Where a symbolic link will lead, which need not be there yet: the part that exists is resolved, the rest is spelt out.
   * @throws {RequestRefused} when the rest climbs by `..` from what isn't there
   */
  async lead(path: string): Promise<string> {
    const whole = await this.follow(path)
    if (whole.missing === undefined) return whole.path
    const rest: string[] = []
    let { parent, name } = splitPath(path)
    for (let step = 0; step < maxMissingLevels && name !== undefined; step++) {
      rest.unshift(name)
      const directory = await this.#realpath(parent)
      if ('path' in directory) return joinPath(directory.path, rest.join('/'))
      ;({ parent, name } = splitPath(parent))
    }
    throw new RequestRefused(status.permissionDenied, 'it can not be told where this link would lead')
  }

  async #realpath(path: string): Promise<Resolved> {
    const reply = await this.#link.ask(packet.realpath, [encodeString(path)], ['name'])
    return checkedName(reply)
  }
}

/**
 * The path in a NAME answer.
 * @throws {RequestRefused} when it isn't canonical: a decision on it would be on something else
 */
export function checkedName(reply: Awaited<ReturnType<ServerLink['ask']>>): Resolved {
  if (reply.kind === 'status') return { code: reply.code === status.ok ? status.failure : reply.code, message: reply.message }
  const first = reply.kind === 'name' && reply.entries.length === 1 ? reply.entries[0] : undefined
  const path = first === undefined ? undefined : decodePath(first.name)
  if (path === undefined || !isCanonical(path)) throw new RequestRefused(status.permissionDenied, 'the target has no clean name for this path')
  return { path }
}
