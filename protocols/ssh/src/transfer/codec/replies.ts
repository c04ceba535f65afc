import { SftpCursor } from './cursor.js'
import { TransferProtocolError } from './errors.js'
import { packet, type NameEntry, type Reply } from './types.js'

/**
 * Reads one answer of a server (draft-ietf-secsh-filexfer-02 section 7).
 * @throws {TransferProtocolError} on an unknown type, missing or surplus bytes, or a value that can't be
 */
export function parseReply(frame: Buffer): Reply {
  const cursor = new SftpCursor(frame)
  const id = cursor.uint32()
  const reply = body(frame[4] ?? 0, cursor, id)
  cursor.end()
  return reply
}

function body(type: number, cursor: SftpCursor, id: number): Reply {
  switch (type) {
    case packet.status: {
      const code = cursor.uint32()
      // Servers before version 3 leave the texts out, and some later ones do, too.
      const message = cursor.remaining > 0 ? cursor.string().toString('utf8') : ''
      if (cursor.remaining > 0) cursor.string()
      return { kind: 'status', id, code, message }
    }
    case packet.handle:
      return { kind: 'handle', id, handle: cursor.handle() }
    case packet.data:
      return { kind: 'data', id, data: cursor.string() }
    case packet.name:
      return { kind: 'name', id, entries: entries(cursor) }
    case packet.attrs:
      return { kind: 'attrs', id, attributes: cursor.attributes() }
    case packet.extendedReply:
      cursor.skip()
      return { kind: 'extended', id }
    default:
      throw new TransferProtocolError(`unknown SFTP answer ${type}`)
  }
}

function entries(cursor: SftpCursor): NameEntry[] {
  const count = cursor.uint32()
  const found: NameEntry[] = []
  // The count is the server's word: each round must find its bytes, so the packet's length bounds it.
  for (let index = 0; index < count; index++) {
    const name = cursor.string()
    cursor.string()
    found.push({ name, attributes: cursor.attributes() })
  }
  return found
}
