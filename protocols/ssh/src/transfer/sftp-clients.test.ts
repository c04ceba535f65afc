import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { FileEffect } from './file-authority.js'
import { SftpFilter } from './sftp-filter.js'
import { openBridge, runClient, type Bridge } from './testing/bridge.js'
import { RecordingAuthority } from './testing/recording-authority.js'

const sftpServer = ['/usr/lib/openssh/sftp-server', '/usr/libexec/openssh/sftp-server', '/usr/libexec/sftp-server'].find(existsSync)
const present = sftpServer !== undefined && existsSync('/usr/bin/sftp')

describe.skipIf(!present)('the sftp of OpenSSH through the filter', () => {
  let bridge: Bridge
  let authority: RecordingAuthority
  let root: string
  let local: string
  let allowed: (effect: FileEffect) => boolean

  beforeEach(async () => {
    allowed = (effect) => effect.path === root || effect.path.startsWith(`${root}/`)
    authority = new RecordingAuthority((effect) => allowed(effect))
    bridge = await openBridge(
      () => ({ program: sftpServer ?? '', args: [] }),
      (sinks) => new SftpFilter(authority, sinks),
    )
    root = join(bridge.directory, 'open')
    local = join(bridge.directory, 'local')
    await mkdir(root)
    await mkdir(local)
    await mkdir(join(bridge.directory, 'secret'))
    await writeFile(join(bridge.directory, 'secret', 'key'), 'the secret')
  })

  afterEach(async () => {
    await bridge.close()
  })

  const sftp = async (...lines: string[]) => runClient('/usr/bin/sftp', ['-b', '-', '-D', bridge.program], local, `${lines.join('\n')}\n`)

  test('gets and puts, with size and hash of the content in the record', async () => {
    const content = randomBytes(300_000)
    await writeFile(join(root, 'a'), content)
    const ran = await sftp(`get ${root}/a`, `put a ${root}/b`)
    expect(ran).toMatchObject({ code: 0 })
    const sha256 = createHash('sha256').update(content).digest('hex')
    expect(await readFile(join(root, 'b'))).toEqual(content)
    expect(authority.of(`sftp get "${root}/a"`).result).toEqual({ bytesRead: 300_000, sha256, status: 'complete' })
    expect(authority.of(`sftp put "${root}/b"`).result).toEqual({ bytesWritten: 300_000, sha256, status: 'complete' })
    expect(bridge.failures).toEqual([])
  })

  test('20 MB both ways: the hash equals that of the file', async () => {
    const content = randomBytes(20 * 1024 * 1024)
    await writeFile(join(root, 'big'), content)
    const ran = await sftp(`get ${root}/big`, `put big ${root}/big2`)
    expect(ran).toMatchObject({ code: 0 })
    const sha256 = createHash('sha256').update(content).digest('hex')
    expect(authority.of(`sftp get "${root}/big"`).result).toEqual({ bytesRead: content.length, sha256, status: 'complete' })
    expect(authority.of(`sftp put "${root}/big2"`).result).toEqual({ bytesWritten: content.length, sha256, status: 'complete' })
    expect((await readFile(join(root, 'big2'))).equals(content)).toBe(true)
  })

  test('relative paths, cd, ls -l, ln, rename, chmod, mkdir, rm and rmdir are decided on canonical paths', async () => {
    await writeFile(join(root, 'a'), 'x')
    const ran = await sftp('cd open', 'ls -l', 'mkdir d', 'rename a d/../d/b', 'ln d/b h', 'ln -s d/b s', 'chmod 600 d/b', 'df d', 'rm h', 'rm d/b', 'rmdir d')
    expect(ran).toMatchObject({ code: 0 })
    expect(authority.effects).toEqual(
      expect.arrayContaining([
        `list ${root}`,
        `mkdir ${root}/d`,
        `rename ${root}/a`,
        `rename ${root}/d/b`,
        `link ${root}/d/b`,
        `link ${root}/h`,
        `symlink ${root}/s`,
        `symlink ${root}/d/b`,
        `setstat ${root}/d/b`,
        `remove ${root}/h`,
        `rmdir ${root}/d`,
      ]),
    )
    expect(authority.of(`sftp setstat "${root}/d/b" mode=0600`).result).toEqual({ status: 'ok' })
    expect(await readlink(join(root, 's'))).toBe('d/b')
    expect(authority.asked.every((each) => each.result !== undefined)).toBe(true)
  })

  test('what is denied does not happen', async () => {
    const secret = join(bridge.directory, 'secret')
    await writeFile(join(local, 'f'), 'evil')
    const ran = await sftp(`-get ${secret}/key`, `-put f ${secret}/x`, `-rm ${secret}/key`, `-ls ${secret}`, `-rename ${secret}/key ${root}/k`, `-mkdir ${secret}/d`)
    // OpenSSH's client prints the code of an answer, never its text.
    expect(ran.output).toContain('Permission denied')
    expect(await readFile(join(secret, 'key'), 'utf8')).toBe('the secret')
    expect(existsSync(join(local, 'key'))).toBe(false)
    expect(existsSync(join(secret, 'd'))).toBe(false)
    expect(existsSync(join(secret, 'x'))).toBe(false)
    expect(existsSync(join(root, 'k'))).toBe(false)
  })

  test('S5 a symbolic link leads out of what is allowed: decided where it leads', async () => {
    const secret = join(bridge.directory, 'secret')
    await symlink(secret, join(root, 'link'))
    await symlink(join(secret, 'key'), join(root, 'keylink'))
    await symlink(join(secret, 'new'), join(root, 'dangling'))
    await writeFile(join(local, 'f'), 'evil')
    const ran = await sftp(
      `-get ${root}/link/key got1`,
      `-get ${root}/keylink got2`,
      `-get ${root}/link/../secret/key got3`,
      `-get ${root}/../secret/key got4`,
      `-put f ${root}/keylink`,
      `-put f ${root}/dangling`,
      `-put f ${root}/link/new2`,
      `-chmod 777 ${root}/keylink`,
      `-ls ${root}/link/`,
    )
    for (const name of ['got1', 'got2', 'got3', 'got4']) expect(existsSync(join(local, name)), ran.output).toBe(false)
    expect(await readFile(join(secret, 'key'), 'utf8')).toBe('the secret')
    expect(existsSync(join(secret, 'new'))).toBe(false)
    expect(existsSync(join(secret, 'new2'))).toBe(false)
    expect((await stat(join(secret, 'key'))).mode & 0o777).not.toBe(0o777)
    expect(authority.asked.filter((each) => each.allowed && each.operation.effects.some((effect) => effect.action === 'write'))).toEqual([])
  })

  test('S5 making a link out of what is allowed is decided on what it points to', async () => {
    const secret = join(bridge.directory, 'secret')
    await sftp(`-ln -s ${secret}/key ${root}/s1`, `-ln -s ../secret ${root}/s2`, `-ln ${secret}/key ${root}/h`)
    for (const name of ['s1', 's2', 'h']) expect(existsSync(join(root, name))).toBe(false)
    const asked = authority.of(`sftp ln -s "../secret" "${root}/s2"`)
    expect(asked.operation.effects).toEqual([
      { action: 'symlink', path: `${root}/s2`, details: { target: '../secret', link: `${root}/s2`, resolved: secret } },
      { action: 'symlink', path: secret, details: { target: '../secret', link: `${root}/s2`, resolved: secret } },
    ])
  })

  test('rm, rename and readlink act on a link itself, wherever it leads', async () => {
    await symlink('/etc/passwd', join(root, 'l1'))
    await symlink('/etc/passwd', join(root, 'l2'))
    const ran = await sftp(`rm ${root}/l1`, `rename ${root}/l2 ${root}/l3`)
    expect(ran).toMatchObject({ code: 0 })
    expect(await readlink(join(root, 'l3'))).toBe('/etc/passwd')
    expect(existsSync('/etc/passwd')).toBe(true)
  })

  test('what does not exist is decided, too', async () => {
    await sftp('-get /nowhere/at/all x', `-get ${root}/d/nothing x`)
    expect(authority.of('sftp stat "/nowhere/at/all"').allowed).toBe(false)
    expect(authority.of(`sftp stat "${root}/d/nothing"`).result).toEqual({ status: 'no_such_file' })
  })

  test('resume and append move a part: no hash', async () => {
    const content = randomBytes(200_000)
    await writeFile(join(root, 'a'), content)
    await writeFile(join(local, 'a'), content.subarray(0, 70_000))
    await writeFile(join(local, 'up'), content)
    await writeFile(join(root, 'up'), content.subarray(0, 70_000))
    const ran = await sftp(`reget ${root}/a`, `reput up ${root}/up`)
    expect(ran).toMatchObject({ code: 0 })
    expect((await readFile(join(local, 'a'))).equals(content)).toBe(true)
    expect((await readFile(join(root, 'up'))).equals(content)).toBe(true)
    expect(authority.of(`sftp get "${root}/a"`).result).toEqual({ bytesRead: 130_000, status: 'non-sequential' })
    expect(authority.of(`sftp put "${root}/up"`).result).toEqual({ bytesWritten: 130_000, status: 'non-sequential' })
  })

  test('trees in both directions, with times and modes', async () => {
    await mkdir(join(local, 'tree', 'sub'), { recursive: true })
    for (let index = 0; index < 20; index++) await writeFile(join(local, 'tree', 'sub', `f${index}`), randomBytes(index * 1000))
    const ran = await sftp(`put -rp tree ${root}`, `get -rp ${root}/tree back`)
    expect(ran).toMatchObject({ code: 0 })
    for (let index = 0; index < 20; index++) {
      const name = join('sub', `f${index}`)
      expect(await readFile(join(local, 'back', name))).toEqual(await readFile(join(local, 'tree', name)))
    }
    expect(authority.asked.filter(({ result }) => result?.status === 'complete')).toHaveLength(40)
    expect(authority.effects).toContain(`setstat ${root}/tree/sub/f3`)
  })

  test('a copy on the target is decided as a read and a write, and has no hash', async () => {
    await writeFile(join(root, 'a'), 'content')
    const ran = await sftp(`cp ${root}/a ${root}/b`, `-cp ${root}/a ${bridge.directory}/secret/b`, `-cp ${bridge.directory}/secret/key ${root}/c`)
    expect(await readFile(join(root, 'b'), 'utf8'), ran.output).toBe('content')
    expect(existsSync(join(bridge.directory, 'secret', 'b'))).toBe(false)
    expect(existsSync(join(root, 'c'))).toBe(false)
    expect(authority.of(`sftp put "${root}/b"`).result).toEqual({ bytesWritten: 0, status: 'non-sequential' })
  })

  test('scp that speaks SFTP: both ways, a tree, and a denial', async () => {
    const scp = async (...args: string[]) => runClient('/usr/bin/scp', ['-s', '-D', bridge.program, ...args], local)
    await mkdir(join(local, 'tree'))
    await writeFile(join(local, 'tree', 'f'), 'content')
    expect(await scp('-rp', 'tree', `h:${root}`)).toMatchObject({ code: 0 })
    expect(await scp('-rp', `h:${root}/tree`, 'back')).toMatchObject({ code: 0 })
    expect(await readFile(join(local, 'back', 'f'), 'utf8')).toBe('content')
    expect((await scp(`h:${bridge.directory}/secret/key`, 'got')).code).not.toBe(0)
    expect(existsSync(join(local, 'got'))).toBe(false)
  })

  test('a decision that takes its time delays, and is resolved anew', async () => {
    await writeFile(join(root, 'a'), 'held')
    authority.hold = new Promise((resolve) => setTimeout(resolve, 20))
    const ran = await sftp(`get ${root}/a`)
    expect(ran).toMatchObject({ code: 0 })
    expect(await readFile(join(local, 'a'), 'utf8')).toBe('held')
  })

  test('S5 a link that is swapped while the decision is held: nothing is opened', async () => {
    const secret = join(bridge.directory, 'secret')
    await mkdir(join(root, 'd'))
    await writeFile(join(root, 'd', 'key'), 'harmless')
    let asked: (() => void) | undefined
    const opened = new Promise<void>((resolve) => (asked = resolve))
    let release: (() => void) | undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    allowed = (effect) => {
      if (effect.action === 'read') {
        authority.hold = held
        asked?.()
      }
      return true
    }
    const running = sftp(`-get ${root}/d/key got`)
    await opened
    await runClient('/bin/mv', [join(root, 'd'), join(root, 'e')], root)
    await symlink(secret, join(root, 'd'))
    release?.()
    await running
    expect(existsSync(join(local, 'got'))).toBe(false)
    expect(authority.of(`sftp get "${root}/d/key"`).result).toEqual({ status: 'changed' })
  })

  test('a name with a newline is refused, one with quotes and 8-bit text goes through', async () => {
    const name = 'ü "q" \u4e2d'
    await writeFile(join(root, name), 'x')
    await writeFile(join(root, 'a\nb'), 'x')
    await sftp(`get "${root}/ü \\"q\\" \u4e2d" got`, `-get ${root}/a?b got2`)
    expect(existsSync(join(local, 'got'))).toBe(true)
    expect(existsSync(join(local, 'got2'))).toBe(false)
  })
})
