import { SftpCursor } from './cursor.js'
import { encodePacket, encodeString } from './encode.js'
import { TransferProtocolError } from './errors.js'
import { packet } from './types.js'

/** Extensions that the filter understands, with the version it understands (OpenSSH's PROTOCOL, section 4). */
export const knownExtensions: ReadonlyMap<string, string> = new Map([
  ['posix-rename@openssh.com', '1'],
  ['statvfs@openssh.com', '2'],
  ['fstatvfs@openssh.com', '2'],
  ['hardlink@openssh.com', '1'],
  ['fsync@openssh.com', '1'],
  ['lsetstat@openssh.com', '1'],
  ['limits@openssh.com', '1'],
  ['expand-path@openssh.com', '1'],
  ['copy-data', '1'],
  ['home-directory', '1'],
  ['users-groups-by-id@openssh.com', '1'],
])

const protocolVersion = 3

/** @throws {TransferProtocolError} unless it is a client's INIT that can speak version 3 */
export function parseInit(frame: Buffer): void {
  if (frame[4] !== packet.init) throw new TransferProtocolError('the first SFTP packet is not INIT')
  const cursor = new SftpCursor(frame)
  if (cursor.uint32() < protocolVersion) throw new TransferProtocolError('SFTP below version 3 is not supported')
  pairs(cursor)
}

/** Always version 3: what a later one adds, the filter couldn't read. */
export function encodeInit(): Buffer {
  return encodePacket(packet.init, protocolVersion, [])
}

/**
 * The server's VERSION, with only those extensions left that the filter understands, so that a client doesn't ask for others.
 * @throws {TransferProtocolError} on another version than 3
 */
export function filterVersion(frame: Buffer): { packet: Buffer; extensions: ReadonlySet<string> } {
  if (frame[4] !== packet.version) throw new TransferProtocolError('the first SFTP answer is not VERSION')
  const cursor = new SftpCursor(frame)
  const version = cursor.uint32()
  if (version !== protocolVersion) throw new TransferProtocolError(`the server chose SFTP version ${version}`)
  const kept = pairs(cursor).filter(([name, value]) => knownExtensions.get(name) === value)
  const fields = kept.flatMap(([name, value]) => [encodeString(name), encodeString(value)])
  return { packet: encodePacket(packet.version, protocolVersion, fields), extensions: new Set(kept.map(([name]) => name)) }
}

function pairs(cursor: SftpCursor): [string, string][] {
  const found: [string, string][] = []
  while (cursor.remaining > 0) found.push([cursor.string().toString('latin1'), cursor.string().toString('latin1')])
  return found
}
