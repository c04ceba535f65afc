import { posix } from 'node:path'
import type { FileAuthority, FilterSinks } from '../file-authority.js'
import {
  SftpFrames,
  encodePacket,
  encodeStatus,
  encodeString,
  noAttributes,
  packet,
  parseReply,
  parseRequest,
  status,
  type Reply,
  type Request,
} from '../sftp-codec.js'
import { SftpFilter, type SftpFilterOptions } from '../sftp-filter.js'

/** A client and a server by hand around an SFTP filter. The server answers at once, unless a test takes that over. */
export class ScriptedSftp {
  /** What reached the server, the filter's own questions left out. */
  readonly served: Request[] = []
  readonly replies: Reply[] = []
  readonly failures: string[] = []
  readonly filter: SftpFilter
  /** Symbolic links of the server: REALPATH follows them. */
  readonly links = new Map<string, string>()
  /** Takes over answering: undefined leaves a request unanswered. */
  answer: (request: Request) => Buffer | undefined = (request) => this.usual(request)
  readonly #toServer = new SftpFrames()
  readonly #toClient = new SftpFrames()
  #opened = 0

  constructor(authority: FileAuthority, options?: SftpFilterOptions) {
    const sinks: FilterSinks = {
      toServer: (bytes) => this.#serve(bytes),
      toClient: (bytes) => this.#receive(bytes),
      fail: (reason) => this.failures.push(reason),
    }
    this.filter = new SftpFilter(authority, sinks, options)
  }

  /** Sends packets in one chunk and lets everything happen that needs no further bytes. */
  async send(...packets: Buffer[]): Promise<void> {
    this.filter.fromClient(Buffer.concat(packets))
    await settle()
  }

  async init(): Promise<this> {
    await this.send(encodePacket(packet.init, 3, []))
    return this
  }

  status(id: number): string {
    const reply = this.replies.find((each) => each.id === id)
    return reply?.kind === 'status' ? `${reply.code} ${reply.message}` : (reply?.kind ?? 'none')
  }

  kinds(): string[] {
    return this.served.map((request) => request.kind)
  }

  usual(request: Request): Buffer {
    switch (request.kind) {
      case 'realpath': {
        const path = request.path.toString()
        const absolute = posix.normalize(path === '.' ? '/home' : path)
        const name = encodeString(this.links.get(absolute) ?? absolute)
        return encodePacket(packet.name, request.id, [1, name, name, noAttributes])
      }
      case 'open':
      case 'opendir':
        return encodePacket(packet.handle, request.id, [encodeString(`h${this.#opened++}`)])
      case 'read':
        return encodePacket(packet.data, request.id, [encodeString('data')])
      case 'fstat':
      case 'stat':
      case 'lstat':
        return encodePacket(packet.attrs, request.id, [noAttributes])
      default:
        return encodeStatus(request.id, status.ok, '')
    }
  }

  #serve(bytes: Buffer): void {
    this.#toServer.push(bytes)
    for (let frame = this.#toServer.next(); frame !== undefined; frame = this.#toServer.next()) {
      let answer: Buffer | undefined
      if (frame[4] === packet.init) answer = encodePacket(packet.version, 3, [])
      else {
        const request = parseRequest(frame)
        if (request.kind !== 'realpath') this.served.push(request)
        answer = this.answer(request)
      }
      const sent = answer
      if (sent !== undefined) queueMicrotask(() => this.filter.fromServer(sent))
    }
  }

  #receive(bytes: Buffer): void {
    this.#toClient.push(bytes)
    for (let frame = this.#toClient.next(); frame !== undefined; frame = this.#toClient.next()) {
      if (frame[4] !== packet.version) this.replies.push(parseReply(frame))
    }
  }
}

/** Lets all promises that can go on go on. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 2))
}
