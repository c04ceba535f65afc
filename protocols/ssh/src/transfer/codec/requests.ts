import { SftpCursor } from './cursor.js'
import { TransferProtocolError } from './errors.js'
import { allOpenFlags, packet, type HandleKind, type PathKind, type Request } from './types.js'

const pathKinds: ReadonlyMap<number, PathKind> = new Map([
  [packet.lstat, 'lstat'],
  [packet.stat, 'stat'],
  [packet.opendir, 'opendir'],
  [packet.remove, 'remove'],
  [packet.rmdir, 'rmdir'],
  [packet.realpath, 'realpath'],
  [packet.readlink, 'readlink'],
])

const handleKinds: ReadonlyMap<number, HandleKind> = new Map([
  [packet.close, 'close'],
  [packet.fstat, 'fstat'],
  [packet.readdir, 'readdir'],
])

/**
 * Reads one packet of a client (draft-ietf-secsh-filexfer-02 section 6; the extensions: OpenSSH's PROTOCOL, section 4).
 * @throws {TransferProtocolError} on an unknown type, missing or surplus bytes, or a value that can't be
 */
export function parseRequest(frame: Buffer): Request {
  const type = frame[4] ?? 0
  const cursor = new SftpCursor(frame)
  const id = cursor.uint32()
  const request = type === packet.extended ? extended(cursor, id) : plain(type, cursor, id)
  cursor.end()
  return request
}

function plain(type: number, cursor: SftpCursor, id: number): Request {
  const path = pathKinds.get(type)
  if (path !== undefined) return { kind: path, id, path: cursor.path() }
  const handle = handleKinds.get(type)
  if (handle !== undefined) return { kind: handle, id, handle: cursor.handle() }
  switch (type) {
    case packet.open: {
      const open = { kind: 'open', id, path: cursor.path(), flags: cursor.uint32(), attributes: cursor.attributes() } as const
      if ((open.flags & ~allOpenFlags) !== 0) throw new TransferProtocolError('unknown flag of an SFTP open')
      return open
    }
    case packet.read:
      return { kind: 'read', id, handle: cursor.handle(), offset: cursor.offset(), length: cursor.uint32() }
    case packet.write:
      return { kind: 'write', id, handle: cursor.handle(), offset: cursor.offset(), data: cursor.string() }
    case packet.setstat:
      return { kind: 'setstat', id, path: cursor.path(), attributes: cursor.attributes() }
    case packet.mkdir:
      return { kind: 'mkdir', id, path: cursor.path(), attributes: cursor.attributes() }
    case packet.fsetstat:
      return { kind: 'fsetstat', id, handle: cursor.handle(), attributes: cursor.attributes() }
    case packet.rename:
      return { kind: 'rename', id, from: cursor.path(), to: cursor.path() }
    case packet.symlink:
      // OpenSSH takes target and link the other way round than the draft says (PROTOCOL, section 4.1), and so do its clients.
      return { kind: 'symlink', id, target: cursor.path(), link: cursor.path() }
    default:
      throw new TransferProtocolError(`unknown SFTP request ${type}`)
  }
}

function extended(cursor: SftpCursor, id: number): Request {
  const name = cursor.string().toString('latin1')
  switch (name) {
    case 'posix-rename@openssh.com':
      return { kind: 'posix-rename', id, from: cursor.path(), to: cursor.path() }
    case 'hardlink@openssh.com':
      return { kind: 'hardlink', id, from: cursor.path(), to: cursor.path() }
    case 'statvfs@openssh.com':
      return { kind: 'statvfs', id, path: cursor.path() }
    case 'fstatvfs@openssh.com':
      return { kind: 'fstatvfs', id, handle: cursor.handle() }
    case 'fsync@openssh.com':
      return { kind: 'fsync', id, handle: cursor.handle() }
    case 'lsetstat@openssh.com':
      return { kind: 'lsetstat', id, path: cursor.path(), attributes: cursor.attributes() }
    case 'limits@openssh.com':
      return { kind: 'limits', id }
    case 'expand-path@openssh.com':
      return { kind: 'expand-path', id, path: cursor.path() }
    case 'home-directory':
      return { kind: 'home-directory', id, user: cursor.path() }
    case 'copy-data':
      return copyData(cursor, id)
    case 'users-groups-by-id@openssh.com':
      return { kind: 'users-groups', id, uids: idList(cursor.string()), gids: idList(cursor.string()) }
    default:
      // Its fields can't be known; the packet's own length says where it ends.
      cursor.skip()
      return { kind: 'unknown-extended', id, name }
  }
}

function copyData(cursor: SftpCursor, id: number): Request {
  const from = cursor.handle()
  cursor.offset()
  const length = cursor.offset()
  const to = cursor.handle()
  cursor.offset()
  return { kind: 'copy-data', id, from, to, length }
}

function idList(bytes: Buffer): number[] {
  if (bytes.length % 4 !== 0) throw new TransferProtocolError('invalid list of ids')
  const ids: number[] = []
  for (let at = 0; at < bytes.length; at += 4) ids.push(bytes.readUInt32BE(at))
  return ids
}
