import { CanonicalPaths, RequestRefused, checkedName, type CanonicalPath } from './canonical-paths.js'
import type { FileAction, FileEffect, FileOperation } from './file-authority.js'
import { decodePath, hasSpecialBits, joinPath, lexical, octalMode, quotePath, splitPath } from './paths.js'
import type { ServerLink } from './server-link.js'
import { encodeExtended, encodePacket, encodeStatus, encodeString, noAttributes, openFlag, packet, status, statusName } from './sftp-codec.js'
import type { Attributes, Request } from './sftp-codec.js'

type HandleOnly = 'close' | 'fstat' | 'readdir' | 'fstatvfs' | 'fsync' | 'read' | 'write' | 'copy-data'
type Undecided = 'limits' | 'users-groups' | 'unknown-extended'
/** Requests that are decided each by itself. */
export type DecidedRequest = Exclude<Request, { kind: HandleOnly | Undecided }>

/** What an allowed OPEN or OPENDIR may be used for. */
export interface Opened {
  readonly path: string
  readonly read: boolean
  readonly write: boolean
  readonly directory: boolean
  /** Every write goes to the end, whatever its offset says. */
  readonly append: boolean
}

/** A request, resolved: what is to be decided, and what happens when it is allowed. */
export interface Plan {
  /** Left out for what needs no decision: the directory that the session starts in. */
  readonly operation?: FileOperation
  readonly act: { readonly to: 'server'; readonly frame: Buffer } | { readonly to: 'client'; readonly frame: Buffer; readonly status: string }
  readonly opened?: Opened
  /** A file that gets another length otherwise than by writing. */
  readonly resized?: { readonly path: string; readonly size: number }
}

type Naming =
  | { readonly kind: 'realpath' | 'expand-path'; readonly id: number; readonly path: Buffer }
  | { readonly kind: 'home-directory'; readonly id: number; readonly user: Buffer }
type Details = NonNullable<FileEffect['details']>

/** Makes plans. Asks the server for canonical paths; those are what stands in the frame that a plan sends. */
export class Planner {
  readonly #paths: CanonicalPaths
  readonly #link: ServerLink

  constructor(paths: CanonicalPaths, link: ServerLink) {
    this.#paths = paths
    this.#link = link
  }

  /**
   * @param handlePath path of the handle in the request, for FSETSTAT
   * @throws {RequestRefused} for what can't be understood
   */
  async plan(request: DecidedRequest, handlePath: string | undefined): Promise<Plan> {
    switch (request.kind) {
      case 'open':
        return this.#open(request)
      case 'opendir':
        return this.#simple(request, await this.#follow(request.path), 'list', 'ls', packet.opendir)
      case 'stat':
        return this.#simple(request, await this.#follow(request.path), 'stat', 'stat', packet.stat)
      case 'lstat':
        return this.#simple(request, await this.#lstat(request.path), 'stat', 'stat', packet.lstat)
      case 'readlink':
        return this.#simple(request, await this.#named(request.path), 'readlink', 'readlink', packet.readlink)
      case 'remove':
        return this.#simple(request, await this.#named(request.path), 'remove', 'rm', packet.remove)
      case 'rmdir':
        return this.#simple(request, await this.#named(request.path), 'rmdir', 'rmdir', packet.rmdir)
      case 'statvfs': {
        const at = await this.#follow(request.path)
        const frame = encodeExtended(request.id, 'statvfs@openssh.com', [encodeString(at.path)])
        return settled(request.id, at, operation([effect('stat', at.path, { filesystem: true })], `df ${quotePath(at.path)}`), frame)
      }
      case 'realpath':
      case 'expand-path':
        return this.#canonical({ kind: request.kind, id: request.id, path: request.path })
      case 'home-directory':
        return this.#canonical(request)
      case 'mkdir':
      case 'setstat':
      case 'lsetstat':
        return this.#attributes(request)
      case 'fsetstat': {
        if (handlePath === undefined) throw new RequestRefused(status.failure, 'unknown handle')
        const frame = encodePacket(packet.fsetstat, request.id, [encodeString(request.handle), request.attributes.raw])
        return { operation: setstat(handlePath, request.attributes), act: { to: 'server', frame }, ...resizing(handlePath, request.attributes) }
      }
      case 'rename':
      case 'posix-rename':
      case 'hardlink':
        return this.#two(request)
      case 'symlink':
        return this.#symlink(request)
    }
  }

  async #open(request: Extract<Request, { kind: 'open' }>): Promise<Plan> {
    const { flags, attributes } = request
    const write = (flags & (openFlag.write | openFlag.append | openFlag.create | openFlag.truncate)) !== 0
    // OpenSSH opens for reading when neither is asked: O_RDONLY is 0.
    const read = (flags & openFlag.read) !== 0 || (flags & openFlag.write) === 0
    // With O_EXCL the last component isn't followed.
    const exclusive = (flags & openFlag.exclusive) !== 0 && (flags & openFlag.create) !== 0
    const at = await (exclusive ? this.#named(request.path) : this.#follow(request.path))
    const creating = (flags & openFlag.create) !== 0
    const mode = creating && attributes.permissions !== undefined ? { mode: octalMode(attributes.permissions) } : {}
    const append = (flags & openFlag.append) !== 0 ? { append: true } : {}
    const truncate = (flags & openFlag.truncate) !== 0 ? { truncate: true } : {}
    const effects = [
      ...(read ? [effect('read', at.path)] : []),
      ...(write ? [effect('write', at.path, { ...mode, ...append, ...truncate })] : []),
      ...privileged(at.path, attributes),
    ]
    const verb = write ? (read ? 'get and put' : 'put') : 'get'
    const frame = encodePacket(packet.open, request.id, [encodeString(at.path), flags, attributes.raw])
    const plan = settled(request.id, at, operation(effects, `${verb} ${quotePath(at.path)}`), frame)
    return { ...plan, opened: { path: at.path, read, write, directory: false, append: (flags & openFlag.append) !== 0 } }
  }

  #simple(request: { id: number }, at: CanonicalPath, action: FileAction, verb: string, type: number): Plan {
    const frame = encodePacket(type, request.id, [encodeString(at.path)])
    const plan = settled(request.id, at, operation([effect(action, at.path)], `${verb} ${quotePath(at.path)}`), frame)
    return type === packet.opendir ? { ...plan, opened: { path: at.path, read: false, write: false, directory: true, append: false } } : plan
  }

  /** REALPATH and its like answer with a path: that is decided as a stat of it, for it tells that it exists and where links point. */
  async #canonical(request: Naming): Promise<Plan> {
    const at = await this.#expanded(request)
    if (at.missing === undefined && at.path === this.#paths.home) return { act: named(request.id, at.path) }
    return {
      operation: operation([effect('stat', at.path)], `realpath ${quotePath(at.path)}`),
      act: at.missing === undefined ? named(request.id, at.path) : unreached(request.id, at.missing),
    }
  }

  async #expanded(request: Naming): Promise<CanonicalPath> {
    if (request.kind === 'home-directory') {
      const user = decodePath(request.user)
      if (user === undefined || user.includes('/')) throw new RequestRefused(status.permissionDenied, 'invalid user name')
      return this.#asked('home-directory', user, `~${user}`)
    }
    const empty = request.path.length === 0
    if (request.kind === 'expand-path' && !empty) {
      const text = decodePath(request.path)
      if (text?.startsWith('~') === true) return this.#asked('expand-path@openssh.com', text, text)
    }
    return this.#follow(empty ? Buffer.from('.') : request.path)
  }

  async #asked(extension: string, argument: string, spelling: string): Promise<CanonicalPath> {
    const found = checkedName(await this.#link.ask(packet.extended, [encodeString(extension), encodeString(argument)], ['name']))
    return 'path' in found ? found : { path: lexical(`/${spelling}`), missing: found }
  }

  async #attributes(request: Extract<Request, { kind: 'mkdir' | 'setstat' | 'lsetstat' }>): Promise<Plan> {
    const { id, kind, attributes } = request
    const at = await (kind === 'setstat' ? this.#follow(request.path) : this.#named(request.path))
    const fields = [encodeString(at.path), attributes.raw]
    if (kind !== 'mkdir') {
      const frame = kind === 'setstat' ? encodePacket(packet.setstat, id, fields) : encodeExtended(id, 'lsetstat@openssh.com', fields)
      return { ...settled(id, at, setstat(at.path, attributes), frame), ...resizing(at.path, attributes) }
    }
    const mode = attributes.permissions === undefined ? {} : { mode: octalMode(attributes.permissions) }
    const effects = [effect('mkdir', at.path, mode), ...privileged(at.path, attributes)]
    return settled(id, at, operation(effects, `mkdir ${quotePath(at.path)}`), encodePacket(packet.mkdir, id, fields))
  }

  async #two(request: Extract<Request, { kind: 'rename' | 'posix-rename' | 'hardlink' }>): Promise<Plan> {
    const from = await this.#named(request.from)
    const to = await this.#named(request.to)
    const details = { from: from.path, to: to.path }
    const action = request.kind === 'hardlink' ? 'link' : 'rename'
    const effects = [effect(action, from.path, details), effect(action, to.path, details)]
    const verb = request.kind === 'hardlink' ? 'ln' : 'rename'
    const fields = [encodeString(from.path), encodeString(to.path)]
    const frame =
      request.kind === 'rename'
        ? encodePacket(packet.rename, request.id, fields)
        : encodeExtended(request.id, request.kind === 'hardlink' ? 'hardlink@openssh.com' : 'posix-rename@openssh.com', fields)
    const missing = from.missing ?? to.missing
    const at = { path: from.path, ...(missing === undefined ? {} : { missing }) }
    return settled(request.id, at, operation(effects, `${verb} ${quotePath(from.path)} ${quotePath(to.path)}`), frame)
  }

  async #symlink(request: Extract<Request, { kind: 'symlink' }>): Promise<Plan> {
    const link = await this.#named(request.link)
    const text = decodePath(request.target)
    if (text === undefined || text === '') throw new RequestRefused(status.permissionDenied, 'a path must be UTF-8 without control characters')
    // A relative target starts where the link lies. The text goes to the server as it is: it is the link's content.
    const target = await this.#paths.lead(text.startsWith('/') ? text : joinPath(splitPath(link.path).parent, text))
    const details = { target: text, link: link.path, resolved: target }
    const effects = [effect('symlink', link.path, details), effect('symlink', target, details)]
    const frame = encodePacket(packet.symlink, request.id, [encodeString(text), encodeString(link.path)])
    return settled(request.id, link, operation(effects, `ln -s ${quotePath(text)} ${quotePath(link.path)}`), frame)
  }

  async #follow(path: Buffer): Promise<CanonicalPath> {
    return this.#paths.follow(this.#paths.absolute(path))
  }

  async #named(path: Buffer): Promise<CanonicalPath> {
    return this.#paths.named(this.#paths.absolute(path))
  }

  /** `link/` means what the link points to. */
  async #lstat(path: Buffer): Promise<CanonicalPath> {
    const absolute = this.#paths.absolute(path)
    return (splitPath(absolute).trailingSlash ? this.#paths.follow(absolute) : this.#paths.named(absolute))
  }
}

/** What can't be reached is decided all the same: otherwise the answer tells a stranger what exists. */
function settled(id: number, at: CanonicalPath, decided: FileOperation, frame: Buffer): Plan {
  return { operation: decided, act: at.missing === undefined ? { to: 'server', frame } : unreached(id, at.missing) }
}

function unreached(id: number, missing: NonNullable<CanonicalPath['missing']>): Plan['act'] {
  return { to: 'client', frame: encodeStatus(id, missing.code, missing.message), status: statusName(missing.code) }
}

function named(id: number, path: string): Plan['act'] {
  const frame = encodePacket(packet.name, id, [1, encodeString(path), encodeString(path), noAttributes])
  return { to: 'client', frame, status: 'ok' }
}

function operation(effects: readonly FileEffect[], command: string): FileOperation {
  return { effects, text: `sftp ${command}` }
}

function effect(action: FileAction, path: string, details: Details = {}): FileEffect {
  return { action, path, ...(Object.keys(details).length > 0 ? { details } : {}) }
}

function setstat(path: string, attributes: Attributes): FileOperation {
  const details = attributeDetails(attributes)
  const words = Object.entries(details).map(([name, value]) => ` ${name}=${value}`)
  return operation([effect('setstat', path, details)], `setstat ${quotePath(path)}${words.join('')}`)
}

function resizing(path: string, { size }: Attributes): Pick<Plan, 'resized'> {
  return size === undefined ? {} : { resized: { path, size: Number(size) } }
}

/**
 * Attributes of an OPEN or MKDIR that do more than name the mode of what is created: owner, size, times, special bits. OpenSSH
 * ignores most of them there; another server may not.
 */
function privileged(path: string, attributes: Attributes): FileEffect[] {
  const special = attributes.permissions !== undefined && hasSpecialBits(attributes.permissions)
  const more = attributes.size !== undefined || attributes.uid !== undefined || attributes.atime !== undefined || attributes.extended > 0
  return special || more ? [effect('setstat', path, attributeDetails(attributes))] : []
}

function attributeDetails(attributes: Attributes): Details {
  return {
    ...(attributes.permissions === undefined ? {} : { mode: octalMode(attributes.permissions) }),
    ...(attributes.uid === undefined ? {} : { uid: attributes.uid }),
    ...(attributes.gid === undefined ? {} : { gid: attributes.gid }),
    ...(attributes.size === undefined ? {} : { size: Number(attributes.size) }),
    ...(attributes.mtime === undefined ? {} : { mtime: attributes.mtime }),
    ...(attributes.extended === 0 ? {} : { extended: attributes.extended }),
  }
}
