import { AccountsSeen } from './accounts-seen.js'
import type { Batch } from './batch.js'
import { WaitingBudget } from './content-hash.js'
import type { FileResult } from './file-authority.js'
import { OpenHandle } from './handles.js'
import type { Opened } from './operations.js'
import type { ServerLink } from './server-link.js'
import { TransferProtocolError, encodePacket, encodeStatus, encodeString, packet, status, statusName } from './sftp-codec.js'
import type { Reply, Request } from './sftp-codec.js'

type Of<Kind extends Request['kind']> = Extract<Request, { kind: Kind }>
/** Requests that the decision over an earlier one covers, or that touch no file. */
export type CoveredRequest = Of<
  'read' | 'write' | 'close' | 'fstat' | 'readdir' | 'fstatvfs' | 'fsync' | 'copy-data' | 'limits' | 'users-groups' | 'unknown-extended'
>

const covered: ReadonlySet<Request['kind']> = new Set<CoveredRequest['kind']>([
  'read',
  'write',
  'close',
  'fstat',
  'readdir',
  'fstatvfs',
  'fsync',
  'copy-data',
  'limits',
  'users-groups',
  'unknown-extended',
])

export function isCovered(request: Request): request is CoveredRequest {
  return covered.has(request.kind)
}

/** Handles that a request names. */
export function handlesOf(request: Request): readonly Buffer[] {
  if (request.kind === 'copy-data') return [request.from, request.to]
  return 'handle' in request ? [request.handle] : []
}

const slash = 0x2f

type Held = { readonly frame: Buffer; readonly request: CoveredRequest }

/**
 * Requests on what is open. Only handles of this channel exist here, each for what its open was allowed: a handle that a client
 * guessed, or kept after its close, is unknown whatever the server would say.
 */
export class HandleOperations {
  readonly #link: ServerLink
  readonly #toClient: Batch
  readonly #maxHandles: number
  readonly #handles = new Map<string, OpenHandle>()
  readonly #accounts = new AccountsSeen()
  readonly #budget = new WaitingBudget()
  /** Opens that the server hasn't answered. */
  #opening = 0

  constructor(link: ServerLink, toClient: Batch, maxHandles: number) {
    this.#link = link
    this.#toClient = toClient
    this.#maxHandles = maxHandles
  }

  get full(): boolean {
    return this.#handles.size + this.#opening >= this.#maxHandles
  }

  pathOf(handle: Buffer): string | undefined {
    return this.#get(handle)?.opened.path
  }

  /** Sends an open that was allowed. `onOpen` gets the handle as soon as there is one. */
  open(frame: Buffer, opened: Opened, finish: (result: FileResult) => void, onOpen: (handle: OpenHandle) => void): void {
    this.#opening++
    this.#link.forward(frame, ['handle'], (reply, answer) => {
      this.#opening--
      if (reply.kind === 'handle') {
        const key = keyOf(reply.handle)
        if (this.#handles.has(key)) throw new TransferProtocolError('the SFTP server gave out a handle twice')
        const handle = new OpenHandle(opened, finish, this.#budget)
        const shared = opened.write && this.#writers(opened.path).length > 0
        this.#handles.set(key, handle)
        // Two writers of one file: neither's bytes need be what stays there.
        if (shared) this.changed(opened.path, undefined)
        onOpen(handle)
      } else finish({ status: outcome(reply) })
      this.#toClient.add(answer)
    })
  }

  /**
   * The content of a file changes otherwise than by a write on the one handle that writes it: what was hashed may be overwritten.
   * @param size that the file gets; undefined when that isn't known
   */
  changed(path: string, size: number | undefined): void {
    for (const handle of this.#writers(path)) handle.changedElsewhere(size)
  }

  /** Owners that the client is shown: it may ask for their names. */
  noteAccounts(reply: Reply): void {
    if (reply.kind === 'attrs') this.#accounts.note(reply.attributes)
    if (reply.kind === 'name') for (const entry of reply.entries) this.#accounts.note(entry.attributes)
  }

  run({ frame, request }: Held): void {
    switch (request.kind) {
      case 'unknown-extended':
        return this.#refuse(request.id, status.opUnsupported, 'this extension of SFTP is not supported')
      case 'limits':
        return this.#pass(frame, ['extended'])
      case 'users-groups':
        if (this.#accounts.cover(request.uids, request.gids)) return this.#pass(frame, ['extended'])
        return this.#refuse(request.id, status.permissionDenied, 'these accounts own nothing that was listed')
      case 'copy-data':
        return this.#copy(frame, request)
      default:
        return this.#onHandle(frame, request)
    }
  }

  release(): void {
    for (const handle of this.#handles.values()) handle.release()
    this.#handles.clear()
  }

  #onHandle(frame: Buffer, request: Of<'read' | 'write' | 'close' | 'fstat' | 'readdir' | 'fstatvfs' | 'fsync'>): void {
    const handle = this.#get(request.handle)
    if (handle === undefined) return this.#refuse(request.id, status.failure, 'unknown handle')
    const { opened } = handle
    switch (request.kind) {
      case 'read':
        return opened.read ? this.#read(frame, handle, request) : this.#wrongUse(request.id, 'reading')
      case 'write':
        return opened.write ? this.#write(frame, handle, request) : this.#wrongUse(request.id, 'writing')
      case 'fsync':
        return opened.write ? this.#pass(frame, []) : this.#wrongUse(request.id, 'writing')
      case 'readdir':
        return opened.directory ? this.#list(frame) : this.#wrongUse(request.id, 'listing')
      case 'fstat':
        return this.#pass(frame, ['attrs'])
      case 'fstatvfs':
        return this.#pass(frame, ['extended'])
      case 'close':
        return this.#close(frame, handle, request.handle)
    }
  }

  #read(frame: Buffer, handle: OpenHandle, request: Of<'read'>): void {
    const done = handle.begin()
    this.#link.forward(frame, ['data'], (reply, answer) => {
      if (reply.kind === 'data') {
        if (reply.data.length > request.length) throw new TransferProtocolError('the SFTP server sent more than was asked')
        handle.wasRead(request.offset, reply.data)
      } else if (reply.kind === 'status' && reply.code === status.eof && request.length > 0) handle.metEnd(request.offset)
      this.#toClient.add(answer)
      done()
    })
  }

  #write(frame: Buffer, handle: OpenHandle, request: Of<'write'>): void {
    const count = request.data.length
    const done = handle.begin()
    handle.isWritten(request.offset, request.data)
    this.#link.forward(frame, [], (reply, answer) => {
      if (reply.kind === 'status' && reply.code === status.ok) handle.wasWritten(count)
      else handle.writeFailed(outcome(reply))
      this.#toClient.add(answer)
      done()
    })
  }

  #copy(frame: Buffer, request: Of<'copy-data'>): void {
    const from = this.#get(request.from)
    const to = this.#get(request.to)
    if (from === undefined || to === undefined) return this.#refuse(request.id, status.failure, 'unknown handle')
    if (!from.opened.read) return this.#wrongUse(request.id, 'reading')
    if (!to.opened.write) return this.#wrongUse(request.id, 'writing')
    from.copied('read')
    to.copied('write')
    this.#pass(frame, [])
  }

  /** The handle is gone at once: the server may give the same one to the next open. */
  #close(frame: Buffer, handle: OpenHandle, key: Buffer): void {
    this.#handles.delete(keyOf(key))
    let size: bigint | undefined
    const sized = handle.opened.directory ? undefined : handle.begin()
    const closed = handle.begin()
    if (sized !== undefined) {
      // Whether the content was moved whole shows only beside the file's size.
      this.#link.query((id) => encodePacket(packet.fstat, id, [encodeString(key)]), ['attrs'], (reply) => {
        if (reply.kind === 'attrs') size = reply.attributes.size
        sized()
      })
    }
    let closedAnswer: Buffer | undefined
    this.#link.forward(frame, [], (reply, answer) => {
      if (!(reply.kind === 'status' && reply.code === status.ok)) handle.writeFailed(outcome(reply))
      closedAnswer = answer
      closed()
    })
    handle.whenSettled(() => {
      const result = handle.result(size === undefined ? undefined : Number(size))
      handle.release()
      // Its end stands in the record before the client hears of it.
      handle.finish(result)
      if (closedAnswer !== undefined) this.#toClient.add(closedAnswer)
    })
  }

  #pass(frame: Buffer, accepts: readonly Reply['kind'][]): void {
    this.#link.forward(frame, accepts, (reply, answer) => {
      this.noteAccounts(reply)
      this.#toClient.add(answer)
    })
  }

  /** A name that is a path would make a client that fetches the directory write elsewhere. */
  #list(frame: Buffer): void {
    this.#link.forward(frame, ['name'], (reply, answer) => {
      if (reply.kind === 'name' && reply.entries.some(({ name }) => name.includes(slash))) {
        throw new TransferProtocolError('the SFTP server lists a name that is a path')
      }
      this.noteAccounts(reply)
      this.#toClient.add(answer)
    })
  }

  #wrongUse(id: number, use: string): void {
    this.#refuse(id, status.permissionDenied, `the handle was not opened for ${use}`)
  }

  #refuse(id: number, code: number, message: string): void {
    this.#toClient.add(encodeStatus(id, code, message))
  }

  #writers(path: string): OpenHandle[] {
    return [...this.#handles.values()].filter(({ opened }) => opened.write && opened.path === path)
  }

  #get(handle: Buffer): OpenHandle | undefined {
    return this.#handles.get(keyOf(handle))
  }
}

/** Name of what a server answered. */
export function outcome(reply: Reply): string {
  return reply.kind === 'status' ? statusName(reply.code) : 'ok'
}

function keyOf(handle: Buffer): string {
  return handle.toString('latin1')
}
