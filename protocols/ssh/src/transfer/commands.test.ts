import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { recogniseTransfer, scpMode } from './commands.js'

const words = (line: string) => line.split(' ')
const recognised = (line: string) => {
  const found = recogniseTransfer(words(line))
  return found && `${found.kind} ${found.direction} ${found.paths.join(' ')}`
}

describe('scp', () => {
  test.each([
    ['scp -t /x', 'scp write /x'],
    ['scp -f /x', 'scp read /x'],
    ['scp -v -r -p -d -t /x', 'scp write /x'],
    ['scp -rpt .', 'scp write .'],
    ['/usr/bin/scp -f -- -a', 'scp read -a'],
  ])('%s', (line, expected) => expect(recognised(line)).toBe(expected))

  test.each([
    'scp /etc/passwd /tmp/x',
    'scp -t',
    'scp -t -f /x',
    'scp -t /x /y',
    'scp -t /x -S evil',
    'scp -S evil -t /x',
    'scp -o ProxyCommand=x -t /x',
    'scp -t -a',
    '/tmp/scp -t /x',
    './scp -t /x',
    'scp -h',
    'scp -3 -t /x',
    'scp -t -- ',
  ])('S4 not: %s', (line) => expect(recognised(line)).toBeUndefined())

  test('the options become the mode of the filter', () => {
    const transfer = recogniseTransfer(words('scp -r -d -t /x'))
    expect(transfer && scpMode(transfer)).toEqual({ direction: 'write', path: '/x', recursive: true, directory: true, preserve: false })
  })
})

describe('git', () => {
  test.each([
    ['git-upload-pack /srv/x.git', 'git read /srv/x.git'],
    ['git-receive-pack x.git', 'git write x.git'],
    ['git-upload-archive x.git', 'git read x.git'],
    ['git upload-pack x.git', 'git read x.git'],
  ])('%s', (line, expected) => expect(recognised(line)).toBe(expected))

  test.each([
    'git-upload-pack',
    'git-upload-pack --strict x.git',
    'git-upload-pack -h',
    'git-upload-pack x.git --upload-pack=evil',
    'git -c core.pager=evil upload-pack x.git',
    'git status',
    'git-shell -c x',
    '/tmp/git-upload-pack x',
  ])('S4 not: %s', (line) => expect(recognised(line)).toBeUndefined())
})

test('sftp-server only where it is installed, and without options', () => {
  expect(recognised('/usr/lib/openssh/sftp-server')).toBe('sftp both ')
  expect(recognised('sftp-server -d /')).toBeUndefined()
  expect(recognised('/tmp/sftp-server')).toBeUndefined()
  expect(recogniseTransfer([])).toBeUndefined()
})

describe('rsync', () => {
  test.each([
    ['rsync --server -logDtpre.iLsfxCIvu . /dst/d', 'rsync write /dst/d'],
    ['rsync --server --sender -vlogDtprze.iLsfxCIvu . /src/a /src/b', 'rsync read /src/a /src/b'],
  ])('%s', (line, expected) => expect(recognised(line)).toBe(expected))

  test.each([
    'rsync /etc /tmp',
    'rsync --daemon',
    'rsync --server --daemon .',
    'rsync --server -logDtpre.iLsfxCIvu --log-file=/tmp/x . /d',
    'rsync --server -logDtpre.iLsfxCIvu --temp-dir /tmp . /d',
    'rsync --server -logDtpre.iLsfxCIvu --partial-dir .p . /d',
    'rsync --server -blogDtpre.iLsfxCIvu --backup-dir /x . /d',
    'rsync --server -logDtpre.iLsfxCIvu --link-dest /x . /d',
    'rsync --server --sender -logDtpre.iLsfxCIvu --files-from=/etc/list . /d',
    'rsync --server -logDtpre.iLsfxCIvu --rsync-path=evil . /d',
    'rsync --server -slogDtpre.iLsfxCIvu',
    'rsync --server --sender -lLogDtpre.iLsfxCIvu . /s',
    'rsync --server -lKogDtpre.iLsfxCIvu . /s',
    'rsync --server --sender -e evil . /s',
    'rsync --server --sender -logDtpresh . /s',
    'rsync --server -logDtpre.iLsfxCIvu . /d --log-file=/x',
    'rsync --server -logDtpre.iLsfxCIvu . /d /e',
    'rsync --server -blogDtpre.iLsfxCIvu --suffix=/../x . /d',
    // popt would take the next word for the value, and the first path for the directory to start in.
    'rsync --server --sender -re.LsfxCIvu --suffix . /d secret',
    'rsync --server -re.LsfxCIvu --timeout . /d',
    'rsync --server -re.LsfxCIvu --suffix= . /d',
    'rsync --server -re.LsfxCIvu --inplace=1 . /d',
    'rsync --server -Rre.LsfxCIvu --no-implied-dirs . /d',
    'rsync --server -logDtpre.iLsfxCIvu /d',
    'rsync --server',
    'rsync --sender --server -r . /x',
  ])('S4 not: %s', (line) => expect(recognised(line)).toBeUndefined())

  test('what removes files shows', () => {
    expect(recogniseTransfer(words('rsync --server -re.LsfxCIvu --delete-during . /d'))?.details).toMatchObject({ delete: true, recursive: true })
    expect(recogniseTransfer(words('rsync --server --sender -re.LsfxCIvu --remove-source-files . /d'))?.details).toMatchObject({ removeSource: true })
  })
})

const rsync = '/usr/bin/rsync'
describe.skipIf(!existsSync(rsync))('command lines of the rsync that is installed', () => {
  let directory: string
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-rsync-'))
    await writeFile(join(directory, 'shell'), `#!/bin/sh\nshift\nprintf '%s\\n' "$*" >> ${directory}/lines\nexit 1\n`, { mode: 0o755 })
  })
  afterAll(async () => {
    await rm(directory, { recursive: true, force: true })
  })

  const sent = async (...args: string[]) => {
    await rm(join(directory, 'lines'), { force: true })
    await new Promise<void>((resolve) => {
      execFile(rsync, ['-e', join(directory, 'shell'), ...args], () => resolve())
    })
    return (await readFile(join(directory, 'lines'), 'utf8')).trim()
  }

  test.each([
    ['-a'],
    ['-avz', '--delete'],
    ['-rlptgoDi', '--stats'],
    ['-aHAXS', '--numeric-ids', '--partial', '--bwlimit=100'],
    ['-n', '-a', '--exclude=x'],
    ['-ac', '--size-only', '--inplace', '--timeout=5', '--info=progress2'],
    ['-aR', '--mkpath', '--max-size=3M', '-y', '--suffix=.b'],
    ['-au', '--append', '--ignore-existing', '--delete-excluded', '--remove-source-files'],
  ])('recognised both ways: %s', async (...options) => {
    expect(recognised(await sent(...options, `${directory}/`, 'host:/dst/d'))).toBe('rsync write /dst/d')
    expect(recognised(await sent(...options, 'host:/src/s', directory))).toBe('rsync read /src/s')
  })

  test.each([
    ['-a', '--temp-dir=/tmp'],
    ['-a', '--partial-dir=.p'],
    ['-ab', '--backup-dir=/x'],
    ['-a', '--link-dest=/x'],
    ['-a', '--remote-option=--log-file=/tmp/x'],
    ['-as'],
    ['-aK'],
  ])('not recognised: %s', async (...options) => {
    expect(recognised(await sent(...options, `${directory}/`, 'host:/dst/d'))).toBeUndefined()
  })
})
