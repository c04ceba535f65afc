import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readFile, realpath, stat, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { recogniseTransfer, scpMode } from './commands.js'
import { ScpFilter } from './scp-filter.js'
import { openBridge, runClient, type Bridge } from './testing/bridge.js'
import { RecordingAuthority } from './testing/recording-authority.js'

const scpProgram = '/usr/bin/scp'

describe.skipIf(!existsSync(scpProgram))('the legacy scp of OpenSSH through the filter', () => {
  let bridge: Bridge
  let authority: RecordingAuthority
  let root: string
  let local: string
  let secret: string

  beforeEach(async () => {
    authority = new RecordingAuthority((effect) => effect.path === root || effect.path.startsWith(`${root}/`))
    bridge = await openBridge(
      (argv) => ({ program: scpProgram, args: command(argv).slice(1) }),
      (sinks, argv) => {
        const transfer = recogniseTransfer(command(argv))
        const mode = transfer && scpMode(transfer)
        if (mode === undefined) throw new Error(`not recognised: ${argv.join(' ')}`)
        return new ScpFilter(mode, authority, { realpath: canonical, isDirectory }, sinks)
      },
    )
    root = join(bridge.directory, 'open')
    local = join(bridge.directory, 'local')
    secret = join(bridge.directory, 'secret')
    for (const path of [root, local, secret]) await mkdir(path)
    await writeFile(join(secret, 'key'), 'the secret')
  })

  afterEach(async () => {
    await bridge.close()
  })

  const command = (argv: readonly string[]) => (argv.at(-1) ?? '').split(' ')
  const at = (path: string) => resolve(bridge.directory, path)
  const canonical = async (path: string): Promise<string> => {
    const absolute = at(path)
    return realpath(absolute).catch(async () => join(await realpath(dirname(absolute)), basename(absolute)))
  }
  const isDirectory = async (path: string) =>
    stat(at(path)).then(
      (found) => found.isDirectory(),
      () => false,
    )
  const scp = async (...args: string[]) => runClient(scpProgram, ['-O', '-S', bridge.program, ...args], local)

  test('one file both ways, to a directory, under a new name and by a relative path', async () => {
    const content = randomBytes(3_000_000)
    await writeFile(join(local, 'a'), content)
    for (const [to, path] of [
      [`h:${root}`, `${root}/a`],
      [`h:${root}/new`, `${root}/new`],
      ['h:open/rel', `${root}/rel`],
    ] as const) {
      expect(await scp('a', to)).toEqual({ code: 0, output: '' })
      expect((await readFile(path)).equals(content)).toBe(true)
      const sha256 = createHash('sha256').update(content).digest('hex')
      expect(authority.of(`scp put "${path}"`).result).toEqual({ bytesWritten: content.length, sha256, status: 'complete' })
    }
    expect(await scp(`h:${root}/a`, 'back')).toEqual({ code: 0, output: '' })
    expect((await readFile(join(local, 'back'))).equals(content)).toBe(true)
    expect(authority.of(`scp get "${root}/a"`).result).toMatchObject({ bytesRead: content.length, status: 'complete' })
    expect(bridge.failures).toEqual([])
  })

  test('trees both ways, with times, and an empty file', async () => {
    await mkdir(join(local, 'tree', 'sub'), { recursive: true })
    for (let index = 0; index < 5; index++) await writeFile(join(local, 'tree', 'sub', `f ${index}`), randomBytes(index * 40_000))
    expect(await scp('-rp', 'tree', `h:${root}/made`)).toEqual({ code: 0, output: '' })
    expect(await scp('-rp', `h:${root}/made`, 'back')).toEqual({ code: 0, output: '' })
    for (let index = 0; index < 5; index++) {
      const name = join('sub', `f ${index}`)
      expect(await readFile(join(local, 'back', name))).toEqual(await readFile(join(local, 'tree', name)))
    }
    expect(authority.effects).toEqual(expect.arrayContaining([`mkdir ${root}/made`, `mkdir ${root}/made/sub`, `setstat ${root}/made/sub/f 1`, `list ${root}/made/sub`]))
    expect(authority.asked.filter(({ result }) => result?.status === 'complete')).toHaveLength(10)
  })

  test('what is denied does not come and does not go, and the client reads why', async () => {
    await writeFile(join(local, 'evil'), 'evil')
    const got = await scp(`h:${secret}/key`, 'got')
    expect(got.code).toBe(1)
    expect(got.output).toContain('denied by policy')
    expect(existsSync(join(local, 'got'))).toBe(false)
    const put = await scp('evil', `h:${secret}/key`)
    expect(put.code).toBe(1)
    expect(put.output).toContain('denied by policy')
    expect(await readFile(join(secret, 'key'), 'utf8')).toBe('the secret')
  })

  test('S5 symbolic links that lead out, in the path and in a tree', async () => {
    await mkdir(join(root, 'tree'))
    await writeFile(join(root, 'tree', 'fine'), 'fine')
    await symlink(join(secret, 'key'), join(root, 'tree', 'link'))
    await symlink(secret, join(root, 'tree', 'dir'))
    await symlink(join(secret, 'new'), join(root, 'dangling'))
    await writeFile(join(local, 'evil'), 'evil')
    await scp('-r', `h:${root}/tree`, 'back')
    expect(await readFile(join(local, 'back', 'fine'), 'utf8')).toBe('fine')
    expect(existsSync(join(local, 'back', 'link'))).toBe(false)
    expect(existsSync(join(local, 'back', 'dir'))).toBe(false)
    await scp('evil', `h:${root}/tree/link`)
    await scp('evil', `h:${root}/tree/dir`)
    expect(await readFile(join(secret, 'key'), 'utf8')).toBe('the secret')
    expect(existsSync(join(secret, 'evil'))).toBe(false)
  })

  test('an error of the target tells nothing about paths that are denied', async () => {
    const missing = await scp(`h:${secret}/nothing`, 'got')
    expect(missing.output).toContain('denied by policy')
    expect(missing.output).not.toContain('No such file')
    expect((await scp(`h:${root}/nothing`, 'got')).output).toContain('No such file')
    await writeFile(join(local, 'a'), 'a')
    expect((await scp('a', 'a', `h:${secret}/nowhere`)).output).not.toContain('No such file')
  })

  test('S5 a second tree under a name that the first one made: decided where scp puts it', async () => {
    const base = join(root, 'new')
    const child = spawn(scpProgram, ['-r', '-t', base], { stdio: ['pipe', 'pipe', 'ignore'] })
    const mode = { direction: 'write', path: base, recursive: true, directory: false, preserve: false } as const
    let acks = 0
    const failures: string[] = []
    const sinks = {
      toServer: (bytes: Buffer) => void child.stdin.write(bytes),
      toClient: (bytes: Buffer) => void (acks += bytes.length),
      fail: (reason: string) => void failures.push(reason),
    }
    const filter = new ScpFilter(mode, authority, { realpath: canonical, isDirectory }, sinks)
    child.stdout.on('data', (bytes: Buffer) => filter.fromServer(bytes))
    const lines = ['D0755 0 x\n', 'D0755 0 y\n', 'E\n', 'E\n', 'D0755 0 y\n', 'C0644 1 f\n', 'Z\0']
    for (const [index, line] of lines.entries()) {
      await expect.poll(() => acks).toBe(index + 1)
      filter.fromClient(Buffer.from(line))
    }
    await expect.poll(() => acks).toBe(lines.length + 1)
    child.stdin.end()
    expect(failures).toEqual([])
    expect(await readFile(join(base, 'f'), 'utf8')).toBe('Z')
    expect(authority.effects.at(-1)).toBe(`write ${base}/f`)
  })

  test('a held decision delays', async () => {
    await writeFile(join(root, 'a'), 'held')
    authority.hold = new Promise((done) => setTimeout(done, 20))
    expect(await scp(`h:${root}/a`, 'got')).toEqual({ code: 0, output: '' })
    expect(await readFile(join(local, 'got'), 'utf8')).toBe('held')
  })

  test('special mode bits are an effect of their own', async () => {
    await writeFile(join(local, 'tool'), 'x')
    await chmod(join(local, 'tool'), 0o4755)
    await scp('tool', `h:${root}`)
    expect(authority.of(`scp put "${root}/tool"`).operation.effects[1]).toEqual({ action: 'setstat', path: `${root}/tool`, details: { mode: '4755' } })
  })
})
