import { describe, expect, test } from 'vitest'
import { ScpFilter } from './scp-filter.js'
import type { ScpMode } from './scp-plan.js'
import { parseScpRecord } from './scp-records.js'
import { RecordingAuthority } from './testing/recording-authority.js'
import { settle } from './testing/scripted-server.js'

function scripted(mode: Partial<ScpMode>, allow: (path: string) => boolean = () => true) {
  const authority = new RecordingAuthority(({ path }) => allow(path))
  const seen = { server: '', client: '', failures: [] as string[] }
  const links = new Map<string, string>()
  const target = { isDirectory: async () => true }
  const filter = new ScpFilter(
    { direction: 'write', path: '/d', recursive: false, directory: true, preserve: false, ...mode },
    authority,
    { realpath: async (path) => links.get(path) ?? path, isDirectory: async () => target.isDirectory() },
    {
      toServer: (bytes) => (seen.server += bytes.toString('latin1')),
      toClient: (bytes) => (seen.client += bytes.toString('latin1')),
      fail: (reason) => seen.failures.push(reason),
    },
  )
  const client = async (text: string) => {
    filter.fromClient(Buffer.from(text, 'latin1'))
    await settle()
  }
  const server = async (text: string) => {
    filter.fromServer(Buffer.from(text, 'latin1'))
    await settle()
  }
  return { filter, authority, seen, client, server, links, target }
}

describe('lines', () => {
  test.each(['C0644 5 a/b', 'C0644 5 ..', 'C0644 5 .', 'C0644 5 ', 'C644 5 a', 'C06440 5 a', 'C0844 5 a', 'C0644 -5 a', 'C0644 5e3 a', 'C0644 99999999999999999 a', 'C0644 9999999999999999 a', 'X', '', 'E1', 'T1 0 2', 'T1 9999999 2 0', 'C0644 5 a\x1b[2J', 'C0644 5 \xff', 'C0644 5 a\0'])('S4 refused: %j', (line) => {
    expect(() => parseScpRecord(Buffer.from(line, 'latin1'))).toThrow()
  })

  test('read', () => {
    expect(parseScpRecord(Buffer.from('C4755 9007199254740991 a b'))).toEqual({ kind: 'file', mode: 0o4755, size: Number.MAX_SAFE_INTEGER, name: 'a b' })
    expect(parseScpRecord(Buffer.from('D0755 0 ü'))).toMatchObject({ kind: 'directory', name: 'ü' })
    expect(parseScpRecord(Buffer.from('T1700000000 0 1700000001 0'))).toEqual({ kind: 'times', mtime: 1_700_000_000 })
  })
})

describe('upload', () => {
  test('byte by byte, content that looks like lines is content', async () => {
    const { client, server, seen, authority } = scripted({})
    await server('\0')
    for (const byte of 'C0644 6 a\n') await client(byte)
    expect(seen.server).toBe('C0644 6 a\n')
    await server('\0')
    await client('E\nE\nE\n\0')
    await server('\0')
    expect(seen.server).toBe('C0644 6 a\nE\nE\nE\n\0')
    expect(authority.asked[0]?.result).toMatchObject({ bytesWritten: 6, status: 'complete' })
  })

  test('S5 the sink looks once whether its path is a directory, before its go-ahead; so does the filter', async () => {
    const { authority, client, server, target } = scripted({ path: '/new', recursive: true, directory: false })
    target.isDirectory = async () => false
    await server('\0')
    target.isDirectory = async () => true
    await client('D0755 0 x\n')
    await server('\0')
    await client('E\n')
    await server('\0')
    await client('D0755 0 y\n')
    await server('\0')
    await client('C0644 1 f\n')
    expect(authority.effects).toEqual(['mkdir /new', 'mkdir /new', 'write /new/f'])
  })

  test('a target that does not tell whether its path is a directory gets nothing', async () => {
    const { authority, client, seen, server, target } = scripted({ directory: false })
    target.isDirectory = async () => Promise.reject(new Error('no sftp'))
    await server('\0')
    await client('C0644 1 f\n')
    expect(seen.server).toBe('')
    expect(seen.client).toContain('No such file')
    expect(authority.asked[0]?.result).toEqual({ status: 'no_such_file' })
  })

  test('content sent ahead of the answer runs into the decision, not past it', async () => {
    const { client, server, seen } = scripted({}, () => false)
    await server('\0')
    await client('C0644 4 a\nevil\0')
    expect(seen.server).toBe('')
    expect(seen.client).toMatch(/^\0\x01scp: denied by policy/)
    // What comes next is read as a line, and is none.
    expect(seen.failures).toEqual([])
    await client('\n')
    expect(seen.failures).toHaveLength(1)
    expect(seen.server).toBe('')
  })

  test('a directory that was not asked for, and leaving one that was not entered', async () => {
    const flat = scripted({})
    await flat.server('\0')
    await flat.client('D0755 0 a\n')
    expect(flat.seen.failures).toHaveLength(1)
    const up = scripted({ recursive: true })
    await up.server('\0')
    await up.client('E\n')
    expect(up.seen.failures).toHaveLength(1)
  })

  test('a refused directory is not entered: its files are decided in the one above', async () => {
    const { client, server, authority } = scripted({ recursive: true }, (path) => path !== '/d/no')
    await server('\0')
    await client('D0755 0 no\n')
    await client('C0644 0 f\n')
    expect(authority.effects).toEqual(['mkdir /d/no', 'write /d/f'])
  })

  test('S7 an endless line and a flood ahead are stopped', async () => {
    const line = scripted({})
    await line.server('\0')
    await line.client('C'.repeat(5000))
    expect(line.seen.failures).toEqual(['an scp line is too long'])
    const flood = scripted({})
    await flood.client('C'.repeat(300_000))
    expect(flood.seen.failures).toEqual(['scp does not wait for its answer'])
  })

  test('S5 a link that is swapped while the decision is held: nothing is written', async () => {
    const { authority, client, links, seen, server } = scripted({})
    let release: (() => void) | undefined
    authority.hold = new Promise((resolve) => (release = resolve))
    await server('\0')
    await client('C0644 6 a\n')
    links.set('/d/a', '/etc/passwd')
    release?.()
    await settle()
    expect(seen.server).toBe('')
    expect(seen.client).toContain('elsewhere')
    expect(authority.asked[0]?.result).toEqual({ status: 'changed' })
  })

  test('a denial that comes after the end says nothing', async () => {
    const { authority, client, filter, seen, server } = scripted({}, () => false)
    let release: (() => void) | undefined
    authority.hold = new Promise((resolve) => (release = resolve))
    await server('\0')
    await client('C0644 6 a\n')
    filter.close()
    release?.()
    await settle()
    expect(seen).toEqual({ server: '', client: '\0', failures: [] })
  })

  test('the channel ends in the middle of a file and of a decision', async () => {
    const half = scripted({})
    await half.server('\0')
    await half.client('C0644 6 a\n')
    await half.server('\0')
    await half.client('abc')
    half.filter.close()
    expect(half.authority.asked[0]?.result).toEqual({ bytesWritten: 3, status: 'interrupted' })
    const held = scripted({})
    let release: (() => void) | undefined
    held.authority.hold = new Promise((resolve) => (release = resolve))
    await held.server('\0')
    await held.client('C0644 6 a\n')
    held.filter.close()
    release?.()
    await settle()
    expect(held.seen.server).toBe('')
    expect(held.authority.asked[0]?.result).toEqual({ bytesWritten: 0, status: 'interrupted' })
  })
})

describe('download', () => {
  test('a target that sends another name, or more names, than was asked for', async () => {
    const { client, server, seen } = scripted({ direction: 'read', path: '/d/a', directory: false })
    await client('\0')
    await server('C0644 4 .bashrc\n')
    expect(seen.failures).toEqual(['scp sends another file than was asked for'])
    expect(seen.client).toBe('')
  })

  test('times of a file go on only with the file', async () => {
    const { client, server, seen } = scripted({ direction: 'read', path: '/d', recursive: true, directory: false }, (path) => path !== '/d/no')
    await client('\0')
    await server('D0755 0 d\n')
    await client('\0')
    seen.client = ''
    seen.server = ''
    await server('T1 0 1 0\n')
    expect(seen).toMatchObject({ server: '\0', client: '' })
    await server('C0644 1 no\n')
    expect(seen.server).toMatch(/^\0\x01scp: denied/)
    expect(seen.client).toMatch(/^\x01scp: denied/)
    seen.client = ''
    await server('T2 0 2 0\n')
    await server('C0644 1 yes\n')
    expect(seen.client).toBe('T2 0 2 0\n')
    await client('\0')
    expect(seen.client).toBe('T2 0 2 0\nC0644 1 yes\n')
  })

  test('an answer that is none ends the channel', async () => {
    const { client, seen } = scripted({ direction: 'read', path: '/d/a' })
    await client('x')
    expect(seen.failures).toEqual(['invalid scp answer'])
  })
})
