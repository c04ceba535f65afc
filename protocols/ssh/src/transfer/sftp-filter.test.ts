import { describe, expect, test } from 'vitest'
import { encodeExtended, encodePacket, encodeStatus, encodeString, noAttributes, packet, status } from './sftp-codec.js'
import { RecordingAuthority } from './testing/recording-authority.js'
import { ScriptedSftp, settle } from './testing/scripted-server.js'

const text = encodeString
const open = (id: number, path: string | Buffer, flags = 1) => encodePacket(packet.open, id, [text(path), flags, noAttributes])
const offset = (value: number) => {
  const out = Buffer.alloc(8)
  out.writeBigUInt64BE(BigInt(value))
  return out
}
const read = (id: number, handle: string, at = 0, length = 100) => encodePacket(packet.read, id, [text(handle), offset(at), length])
const write = (id: number, handle: string, data = 'data', at = 0) => encodePacket(packet.write, id, [text(handle), offset(at), text(data)])
const close = (id: number, handle: string) => encodePacket(packet.close, id, [text(handle)])
const onPath = (type: number, id: number, path: string | Buffer) => encodePacket(type, id, [text(path)])
const all = () => new RecordingAuthority(() => true)

describe('the beginning', () => {
  test('nothing before INIT, no second INIT, no server that speaks first', async () => {
    const early = new ScriptedSftp(all())
    await early.send(open(1, '/a'))
    expect(early.failures).toHaveLength(1)
    const twice = await new ScriptedSftp(all()).init()
    await twice.send(encodePacket(packet.init, 3, []))
    expect(twice.failures).toHaveLength(1)
    const spoken = new ScriptedSftp(all())
    spoken.filter.fromServer(encodePacket(packet.version, 3, []))
    expect(spoken.failures).toHaveLength(1)
  })

  test('requests pipelined behind INIT wait for VERSION', async () => {
    const sftp = new ScriptedSftp(all())
    await sftp.send(encodePacket(packet.init, 3, []), open(1, 'a'))
    expect(sftp.kinds()).toEqual(['open'])
    expect(sftp.served[0]).toMatchObject({ path: Buffer.from('/home/a') })
  })
})

describe('decisions', () => {
  test('flags decide: read, write, both; what creates or empties is a write', async () => {
    const authority = all()
    const sftp = await new ScriptedSftp(authority).init()
    await sftp.send(open(1, '/r', 1), open(2, '/w', 2), open(3, '/rw', 3), open(4, '/c', 1 | 8), open(5, '/t', 1 | 16), open(6, '/a', 4), open(7, '/none', 0))
    expect(authority.asked.map(({ operation }) => operation.effects.map(({ action }) => action).join('+'))).toEqual([
      'read',
      'write',
      'read+write',
      'read+write',
      'read+write',
      'read+write',
      'read',
    ])
  })

  test('S5 what is sent is what was decided, and a denied request never reaches the server', async () => {
    const authority = new RecordingAuthority(({ path }) => path.startsWith('/open/'))
    const sftp = await new ScriptedSftp(authority).init()
    sftp.links.set('/open/link', '/secret')
    await sftp.send(open(1, '/open/link'), open(2, '/open/x/../y'), onPath(packet.remove, 3, '/open/link'), onPath(packet.stat, 4, '/open/../etc'))
    expect(sftp.status(1)).toBe('3 denied by policy: sftp get "/secret"')
    expect(sftp.served).toMatchObject([
      { kind: 'open', path: Buffer.from('/open/y') },
      { kind: 'remove', path: Buffer.from('/open/link') },
    ])
    expect(sftp.status(4)).toMatch(/^3 denied/)
  })

  test('a name that is no clean text is refused without a decision', async () => {
    const authority = all()
    const sftp = await new ScriptedSftp(authority).init()
    const names = [Buffer.from([0x2f, 0xff]), '/a\0b', '/a\nb', '/a\x1b[2Jb', '/a\u009b', '/a\u2028b', Buffer.from([0x2f, 0xc0, 0xaf])]
    await sftp.send(...names.map((name, index) => open(index + 1, name)))
    for (const index of names.keys()) expect(sftp.status(index + 1)).toMatch(/^3 a path must be UTF-8/)
    expect(authority.asked).toEqual([])
    expect(sftp.served).toEqual([])
  })

  test('a server whose REALPATH is not canonical gets nothing', async () => {
    const sftp = await new ScriptedSftp(all()).init()
    for (const [index, answer] of ['a', '/a/../b', '/a/', '//a', '/a\nb', ''].entries()) {
      sftp.links.set('/x', answer)
      await sftp.send(open(index + 1, '/x'))
      expect(sftp.status(index + 1)).toMatch(/^3 the target has no clean name/)
    }
    expect(sftp.served).toEqual([])
  })

  test('S5 a dangling link on a server whose REALPATH refuses it is not opened', async () => {
    const sftp = await new ScriptedSftp(all()).init()
    sftp.answer = (request) =>
      request.kind === 'realpath' && request.path.toString() === '/d/link' ? encodeStatus(request.id, status.noSuchFile, 'No such file') : sftp.usual(request)
    await sftp.send(open(1, '/d/link', 2 | 8))
    expect(sftp.status(1)).toBe('2 No such file')
    expect(sftp.kinds()).toEqual(['lstat'])
  })

  test('an authority that throws or rejects denies', async () => {
    const thrown = await new ScriptedSftp({ decide: () => { throw new Error('secret detail') } }).init()
    await thrown.send(open(1, '/a'))
    const rejected = await new ScriptedSftp({ decide: async () => Promise.reject(new Error('secret detail')) }).init()
    await rejected.send(open(1, '/a'))
    for (const sftp of [thrown, rejected]) {
      expect(sftp.status(1)).toBe('3 the decision failed')
      expect(sftp.served).toEqual([])
      expect(sftp.failures).toEqual([])
    }
  })

  test('unknown extensions are refused; rename, hardlink and copies are decided by both names', async () => {
    const authority = new RecordingAuthority(({ path }) => path.startsWith('/open/'))
    const sftp = await new ScriptedSftp(authority).init()
    await sftp.send(
      encodeExtended(1, 'evil@example.com', [text('/etc/passwd')]),
      encodeExtended(2, 'posix-rename@openssh.com', [text('/open/a'), text('/root/.ssh/authorized_keys')]),
      encodeExtended(3, 'hardlink@openssh.com', [text('/etc/shadow'), text('/open/b')]),
      encodePacket(packet.rename, 4, [text('/etc/shadow'), text('/open/b')]),
      encodeExtended(5, 'lsetstat@openssh.com', [text('/etc/shadow'), noAttributes]),
      encodeExtended(6, 'users-groups-by-id@openssh.com', [text(Buffer.alloc(4)), text('')]),
    )
    expect(sftp.status(1)).toMatch(/^8 /)
    for (const id of [2, 3, 4, 5, 6]) expect(sftp.status(id)).toMatch(/^3 /)
    expect(sftp.served).toEqual([])
  })
})

test('the account names of owners that were shown may be asked for, no others', async () => {
  const sftp = await new ScriptedSftp(all()).init()
  const ids = Buffer.alloc(8)
  ids.writeUInt32BE(2, 0)
  ids.writeUInt32BE(1000, 4)
  const owned = Buffer.concat([ids.subarray(0, 4), ids.subarray(4), ids.subarray(4)])
  sftp.answer = (request) => (request.kind === 'stat' ? encodePacket(packet.attrs, request.id, [owned]) : sftp.usual(request))
  const ask = (id: number, list: Buffer) => encodeExtended(id, 'users-groups-by-id@openssh.com', [text(list), text('')])
  await sftp.send(onPath(packet.stat, 1, '/a'))
  await sftp.send(ask(2, ids.subarray(4)), ask(3, ids))
  expect(sftp.kinds()).toEqual(['stat', 'users-groups'])
  expect(sftp.status(3)).toMatch(/^3 /)
})

test('S5 a new file that must not exist is created under its own name, not where a link of that name leads', async () => {
  const authority = all()
  const sftp = await new ScriptedSftp(authority).init()
  sftp.links.set('/d/link', '/etc/passwd')
  await sftp.send(open(1, '/d/link', 2 | 8 | 32), open(2, '/d/link', 2 | 8))
  expect(authority.effects).toEqual(['write /d/link', 'write /etc/passwd'])
})

describe('handles', () => {
  test('only those of this channel, only for what they were opened, only until they are closed', async () => {
    const sftp = await new ScriptedSftp(all()).init()
    await sftp.send(read(1, 'h0'), open(2, '/r', 1), open(3, '/w', 2), onPath(packet.opendir, 4, '/d'))
    expect(sftp.status(1)).toBe('4 unknown handle')
    await sftp.send(
      write(5, 'h0'),
      read(6, 'h1'),
      read(7, 'h2'),
      encodePacket(packet.readdir, 8, [text('h0')]),
      encodeExtended(9, 'copy-data', [text('h1'), offset(0), offset(0), text('h0'), offset(0)]),
      encodeExtended(10, 'fsync@openssh.com', [text('h0')]),
      read(11, 'h0'),
      write(12, 'h1'),
      close(13, 'h0'),
      read(14, 'h0'),
    )
    for (const id of [5, 6, 7, 8, 9, 10]) expect(sftp.status(id)).toMatch(/^3 the handle was not opened for/)
    expect(sftp.status(11)).toBe('data')
    expect(sftp.status(12)).toBe('0 ')
    expect(sftp.status(14)).toBe('4 unknown handle')
  })

  test('no more than allowed are open at once', async () => {
    const sftp = await new ScriptedSftp(all(), { maxHandles: 2 }).init()
    await sftp.send(open(1, '/a'), open(2, '/b'))
    await sftp.send(open(3, '/c'), close(4, 'h0'))
    expect(sftp.status(3)).toBe('4 too many open handles')
    await sftp.send(open(5, '/c'))
    expect(sftp.status(5)).toBe('handle')
  })

  test('a server that gives out a handle twice, answers what nobody asked, or answers too much ends the channel', async () => {
    const twice = await new ScriptedSftp(all()).init()
    twice.answer = (request) => (request.kind === 'open' ? encodePacket(packet.handle, request.id, [text('same')]) : twice.usual(request))
    await twice.send(open(1, '/a'), open(2, '/b'))
    expect(twice.failures).toEqual(['the SFTP server gave out a handle twice'])
    const unasked = await new ScriptedSftp(all()).init()
    unasked.filter.fromServer(encodeStatus(77, 0, ''))
    expect(unasked.failures).toHaveLength(1)
    const more = await new ScriptedSftp(all()).init()
    await more.send(open(1, '/a'))
    await more.send(read(2, 'h0', 0, 3))
    expect(more.failures).toEqual(['the SFTP server sent more than was asked'])
    const unfit = await new ScriptedSftp(all()).init()
    unfit.answer = (request) => (request.kind === 'open' ? encodePacket(packet.data, request.id, [text('x')]) : unfit.usual(request))
    await unfit.send(open(1, '/a'))
    expect(unfit.failures).toHaveLength(1)
  })

  test('a directory that lists paths ends the channel', async () => {
    const sftp = await new ScriptedSftp(all()).init()
    sftp.answer = (request) =>
      request.kind === 'readdir'
        ? encodePacket(packet.name, request.id, [1, text('../.bashrc'), text('../.bashrc'), noAttributes])
        : sftp.usual(request)
    await sftp.send(onPath(packet.opendir, 1, '/d'))
    await sftp.send(encodePacket(packet.readdir, 2, [text('h0')]))
    expect(sftp.failures).toEqual(['the SFTP server lists a name that is a path'])
    expect(sftp.status(2)).toBe('none')
  })

  test('the same id for everything: each request gets its own answer', async () => {
    const sftp = await new ScriptedSftp(all()).init()
    await sftp.send(open(0xffffffff, '/a'))
    await sftp.send(read(0xffffffff, 'h0'), write(0xffffffff, 'h0'), read(0xffffffff, 'h0'), encodePacket(packet.fstat, 0xffffffff, [text('h0')]))
    expect(sftp.replies.map((reply) => [reply.id, reply.kind])).toEqual(
      ['handle', 'status', 'data', 'data', 'attrs'].map((kind) => [0xffffffff, kind]),
    )
  })
})

describe('order and end', () => {
  test('a held decision lets other files flow, and holds back what concerns its own path and what comes after', async () => {
    const authority = all()
    const sftp = await new ScriptedSftp(authority).init()
    await sftp.send(open(1, '/a', 3), open(2, '/b', 3))
    let release: (() => void) | undefined
    authority.hold = new Promise((resolve) => (release = resolve))
    await sftp.send(onPath(packet.remove, 3, '/a'), read(4, 'h1'), write(5, 'h0'), read(6, 'h1'))
    expect(sftp.kinds()).toEqual(['open', 'open', 'read'])
    expect(sftp.filter.pendingBytes).toBeGreaterThan(0)
    release?.()
    await settle()
    expect(sftp.kinds()).toEqual(['open', 'open', 'read', 'remove', 'write', 'read'])
    expect(sftp.filter.pendingBytes).toBe(0)
  })

  test('the input ends only when what was asked has gone on', async () => {
    const authority = all()
    const sftp = await new ScriptedSftp(authority).init()
    let release: (() => void) | undefined
    authority.hold = new Promise((resolve) => (release = resolve))
    await sftp.send(onPath(packet.remove, 1, '/a'))
    let ended = false
    const ending = sftp.filter.clientEnded().then(() => (ended = true))
    await settle()
    expect(ended).toBe(false)
    release?.()
    await ending
    expect(sftp.kinds()).toEqual(['remove'])
  })

  test('a decision that comes after the end runs nothing, and has its result', async () => {
    const authority = all()
    const sftp = await new ScriptedSftp(authority).init()
    let release: (() => void) | undefined
    authority.hold = new Promise((resolve) => (release = resolve))
    await sftp.send(onPath(packet.remove, 1, '/a'))
    sftp.filter.close()
    release?.()
    await settle()
    expect(sftp.served).toEqual([])
    expect(authority.asked[0]?.result).toEqual({ status: 'interrupted' })
  })

  test('what is open at the end gets its result, once', async () => {
    const authority = all()
    const sftp = await new ScriptedSftp(authority).init()
    await sftp.send(open(1, '/a', 2))
    await sftp.send(write(2, 'h0'))
    sftp.filter.serverEnded()
    sftp.filter.serverEnded()
    expect(authority.asked[0]?.result).toEqual({ bytesWritten: 4, status: 'interrupted' })
  })

  test('a write that the server refuses leaves no hash', async () => {
    const authority = all()
    const sftp = await new ScriptedSftp(authority).init()
    sftp.answer = (request) => (request.kind === 'write' ? encodeStatus(request.id, status.failure, 'full') : sftp.usual(request))
    await sftp.send(open(1, '/a', 2))
    await sftp.send(write(2, 'h0'), close(3, 'h0'))
    expect(authority.asked[0]?.result).toEqual({ bytesWritten: 0, status: 'failure' })
  })

  describe('S5 no hash for content that is not what stays in the file', () => {
    const sized = (size: number) => Buffer.concat([Buffer.from([0, 0, 0, 1]), offset(size)])
    const setSize = (id: number, path: string, size: number) => encodePacket(packet.setstat, id, [text(path), sized(size)])
    const setHandleSize = (id: number, handle: string, size: number) => encodePacket(packet.fsetstat, id, [text(handle), sized(size)])
    const written = async (flags: number, ...packets: Buffer[]) => {
      const authority = all()
      const sftp = await new ScriptedSftp(authority).init()
      sftp.answer = (request) => (request.kind === 'fstat' ? encodePacket(packet.attrs, request.id, [sized(5)]) : sftp.usual(request))
      await sftp.send(open(1, '/a', flags))
      await sftp.send(...packets)
      await sftp.send(close(90, 'h0'))
      return authority.asked[0]?.result
    }
    const twoPieces = [write(2, 'h0', 'BBBB', 1), write(3, 'h0', 'A', 0)]

    test('without a change beside it, it has one: in order or not, and after a cut behind what was written', async () => {
      const whole = { bytesWritten: 5, sha256: expect.any(String), status: 'complete' }
      expect(await written(2, ...twoPieces)).toEqual(whole)
      expect(await written(2 | 4, write(2, 'h0', 'A', 0), write(3, 'h0', 'BBBB', 1))).toEqual(whole)
      expect(await written(2, ...twoPieces, setHandleSize(4, 'h0', 5), setSize(5, '/other', 0))).toEqual(whole)
    })

    test.each([
      ['appended in another order than the offsets say', 2 | 4, twoPieces],
      ['cut and made longer again, by handle', 2, [...twoPieces, setHandleSize(4, 'h0', 0), setHandleSize(5, 'h0', 5)]],
      ['cut and made longer again, by path', 2, [...twoPieces, setSize(4, '/a', 0), setSize(5, '/a', 5)]],
      ['cut before an earlier piece comes', 2, [write(2, 'h0', 'BBBB', 1), setSize(4, '/a', 0), write(3, 'h0', 'A', 0)]],
      ['with a second writer', 2, [...twoPieces, open(4, '/a', 2)]],
      ['with a second writer before an earlier piece comes', 2, [write(2, 'h0', 'BBBB', 1), open(4, '/x/../a', 2), write(3, 'h0', 'A', 0)]],
    ])('%s', async (_, flags, packets) => {
      expect(await written(flags, ...packets)).toEqual({ bytesWritten: 5, status: 'non-sequential' })
    })

    test('a second writer has none either; a reader takes nothing away', async () => {
      const authority = all()
      const sftp = await new ScriptedSftp(authority).init()
      sftp.answer = (request) => (request.kind === 'fstat' ? encodePacket(packet.attrs, request.id, [sized(4)]) : sftp.usual(request))
      await sftp.send(open(1, '/a', 2), open(2, '/a', 2), open(3, '/b', 2), open(4, '/b', 1))
      await sftp.send(write(5, 'h1'), write(6, 'h2'), close(7, 'h1'), close(8, 'h2'))
      expect(authority.asked[1]?.result).toEqual({ bytesWritten: 4, status: 'non-sequential' })
      expect(authority.asked[2]?.result).toMatchObject({ bytesWritten: 4, status: 'complete' })
    })

    test('an empty READ that is answered with the end of the file tells nothing about its length', async () => {
      const authority = all()
      const sftp = await new ScriptedSftp(authority).init()
      sftp.answer = (request) => {
        if (request.kind === 'fstat') return encodePacket(packet.attrs, request.id, [sized(100)])
        return request.kind === 'read' && request.length === 0 ? encodeStatus(request.id, status.eof, '') : sftp.usual(request)
      }
      await sftp.send(open(1, '/a'))
      await sftp.send(read(2, 'h0', 0, 4), read(3, 'h0', 4, 0), close(4, 'h0'))
      expect(authority.asked[0]?.result).toEqual({ bytesRead: 4, status: 'partial' })
    })
  })

  test('S7 a client that floods while it has to wait is stopped at the limit', async () => {
    const authority = all()
    const sftp = await new ScriptedSftp(authority, { maxPendingBytes: 10_000 }).init()
    authority.hold = new Promise(() => undefined)
    await sftp.send(onPath(packet.remove, 1, '/a'))
    for (let round = 0; round < 40 && sftp.failures.length === 0; round++) await sftp.send(...Array.from({ length: 50 }, () => onPath(packet.remove, 1, '/a')))
    expect(sftp.failures).toEqual(['the SFTP client does not wait'])
  })

  test('requests at the server are bounded; the others wait their turn', async () => {
    const sftp = await new ScriptedSftp(all(), { maxOutstanding: 3 }).init()
    await sftp.send(open(1, '/a'))
    sftp.answer = () => undefined
    await sftp.send(...Array.from({ length: 10 }, (_, index) => read(index + 2, 'h0')))
    expect(sftp.kinds().filter((kind) => kind === 'read')).toHaveLength(3)
  })

  test('random bytes from either side end the channel at most once and decide nothing', async () => {
    for (let seed = 1; seed < 60; seed++) {
      const authority = all()
      const sftp = await new ScriptedSftp(authority).init()
      const noise = Buffer.from(Array.from({ length: 64 }, (_, index) => (index < 3 ? 0 : (seed * 7919 + index * index * 104729) % 256)))
      if (seed % 2 === 0) sftp.filter.fromClient(noise)
      else sftp.filter.fromServer(noise)
      expect(sftp.failures.length).toBeLessThanOrEqual(1)
    }
  })
})
