import { randomBytes } from 'node:crypto'
import type { Rule } from '@sallyport/policy'
import { generateKeyPair, parseSignedData, verifySignature, WireWriter } from '@sallyport/ssh-keys'
import { SoftwareToken } from '@sallyport/ssh-keys/testing'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Loopback } from './testing/loopback.js'
import { msg, RawClient, type RawOptions } from './testing/raw-client.js'
import { hasSshd, Sshd } from './testing/sshd.js'

const rule = (verdict: Rule['verdict'], actions: string[], more: Partial<Rule> = {}): Rule => ({ policy: 'p', index: 0, verdict, actions, on: [], ...more })
const known = generateKeyPair()
const token = new SoftwareToken('sk-ssh-ed25519@openssh.com')
const knownKeys = [known.publicKey.blob, token.publicKey.blob]
const stranger = generateKeyPair()
const string = (value: string | Uint8Array): Buffer => new WireWriter().string(value).bytes()

let sshd: Sshd
let loop: Loopback
const open: RawClient[] = []

beforeAll(async () => {
  if (!hasSshd) return
  sshd = new Sshd()
  await sshd.start()
  loop = new Loopback({
    spec: { address: sshd.address, logins: [sshd.login], hostKeys: [sshd.hostKeyLine], credential: { certificate: { caKey: `file:${sshd.caKeyFile()}` } } },
    rules: [rule('allow', ['ssh.exec'], { argv: ['echo ...', 'cat', 'sleep *', 'env', 'yes'] }), rule('hold', ['ssh.exec'], { argv: ['touch **'], approvers: { groups: ['dba'], quorum: 1 } })],
    // As the control plane does it: what was signed counts, and who signed it.
    authenticate: (start, proof) => {
      if (proof === undefined) return false
      try {
        const signed = parseSignedData(proof.signedData)
        return signed.user === start.user && signed.algorithm === proof.algorithm && signed.key.equals(proof.key) && knownKeys.some((key) => key.equals(verifySignature(proof).blob))
      } catch {
        return false
      }
    },
  })
  await loop.start()
})

afterEach(() => {
  for (const client of open.splice(0)) client.destroy()
})

afterAll(async () => {
  await loop?.stop()
  await sshd?.stop()
})

async function connect(options?: RawOptions): Promise<RawClient> {
  const client = await RawClient.connect(loop.port, options)
  open.push(client)
  return client
}

async function loggedIn(): Promise<RawClient> {
  const client = await connect()
  expect(await client.logIn('web-01', known)).toBe(msg.userauthSuccess)
  return client
}

/** The gateway serves others as if nothing had been. */
async function stillServes(): Promise<void> {
  const client = await loggedIn()
  client.exec(await client.session(), 'echo fine')
  expect(await client.finished()).toEqual({ output: 'fine\n', status: 0 })
}

const texts = (from: number): string[] => loop.events.slice(from).flatMap((event) => (event.kind === 'command' ? [`${event.decision.verdict} ${event.text}`] : []))

describe.skipIf(!hasSshd)('S1 who hasn\'t proven a key', () => {
  test('an offer is answered alike for every key, and opens nothing', async () => {
    const client = await connect()
    await client.requestService()
    for (const key of [known, stranger]) {
      client.send(client.keyRequest('web-01', 'ssh-ed25519', key.publicKey.blob, false))
      expect((await client.take(msg.userauthPkOk)).subarray(1)).toEqual(Buffer.concat([string('ssh-ed25519'), string(key.publicKey.blob)]))
    }
    const before = loop.proofs.length
    client.openChannel('session')
    // Nobody who isn't authenticated may open one (RFC 4252 section 6).
    expect((await client.take(msg.channelOpenFailure))[0]).toBe(msg.channelOpenFailure)
    client.request(0, 'exec', string('echo unproven'))
    client.send(new WireWriter().byte(msg.globalRequest).string('tcpip-forward').byte(1).string('').uint32(0).bytes())
    expect((await client.take(msg.requestFailure))[0]).toBe(msg.requestFailure)
    expect(loop.proofs.length).toBe(before)
    expect(JSON.stringify(loop.events)).not.toContain('unproven')
  })

  test('the known key offered, another one signs: refused', async () => {
    const client = await connect()
    await client.requestService()
    client.send(client.keyRequest('web-01', 'ssh-ed25519', known.publicKey.blob, false))
    await client.take(msg.userauthPkOk)
    client.send(client.signedKeyRequest('web-01', stranger))
    expect((await client.take(msg.userauthFailure))[0]).toBe(msg.userauthFailure)
  })

  test('the known key named, another one\'s signature: refused', async () => {
    const client = await connect()
    await client.requestService()
    const own = client.signedKeyRequest('web-01', stranger)
    client.send(Buffer.from(own.toString('latin1').replace(stranger.publicKey.blob.toString('latin1'), known.publicKey.blob.toString('latin1')), 'latin1'))
    expect((await client.take(msg.userauthFailure))[0]).toBe(msg.userauthFailure)
  })

  test('a signature over another connection\'s session id: refused', async () => {
    const other = await connect()
    const client = await connect()
    await client.requestService()
    client.send(client.signedKeyRequest('web-01', known, other.sessionId))
    expect((await client.take(msg.userauthFailure))[0]).toBe(msg.userauthFailure)
  })

  test('a signature for one user name, another one afterwards: the connection ends', async () => {
    const client = await connect()
    await client.requestService()
    client.send(client.signedKeyRequest('web-01', stranger))
    client.send(client.signedKeyRequest('web-02', known))
    await client.ended()
  })

  test.each(['sk-ssh-ed25519@openssh.com', 'ssh-dss', 'x509v3-sign-rsa', 'ssh-ed25519-cert-v02@openssh.com', ''])('an offer of the algorithm %j is refused at once, not left waiting', async (algorithm) => {
    const client = await connect()
    await client.requestService()
    client.send(client.keyRequest('web-01', algorithm, known.publicKey.blob, false))
    expect((await client.takeAny([msg.userauthFailure, msg.userauthPkOk], 2000))[0]).toBe(algorithm.startsWith('sk-') ? msg.userauthPkOk : msg.userauthFailure)
  })

  test('a security token logs in, when somebody touches it', async () => {
    for (const [flags, answer] of [[0x00, msg.userauthFailure], [0x01, msg.userauthSuccess]] as const) {
      const client = await connect()
      await client.requestService()
      const request = client.keyRequest('web-01', token.type, token.publicKey.blob, true)
      const signature = token.sign(new WireWriter().string(client.sessionId).raw(request).bytes(), { flags })
      client.send(Buffer.concat([request, string(signature)]))
      expect((await client.takeAny([msg.userauthSuccess, msg.userauthFailure]))[0]).toBe(answer)
    }
  })

  test('offers are bounded', async () => {
    const client = await connect()
    await client.requestService()
    for (let count = 0; count < 40; count += 1) client.send(client.keyRequest('web-01', 'ssh-ed25519', generateKeyPair().publicKey.blob, false))
    await client.ended()
    expect(client.messages.filter(([kind]) => kind === msg.userauthPkOk).length).toBeLessThanOrEqual(32)
  })

  test('tries are bounded', async () => {
    const client = await connect()
    await client.requestService()
    for (let count = 0; count < 20; count += 1) {
      client.send(client.signedKeyRequest('web-01', stranger))
      await client.takeAny([msg.userauthFailure, msg.disconnect]).catch(() => undefined)
    }
    await client.ended()
  })

  test('two log-ins at once open one session at most', async () => {
    const before = loop.controllers.size
    const client = await connect()
    await client.requestService()
    const once = client.signedKeyRequest('web-01', known)
    for (let count = 0; count < 5; count += 1) client.send(once)
    client.send(new WireWriter().byte(msg.userauthRequest).string('web-01').string('ssh-connection').string('keyboard-interactive').string('').string('').bytes())
    client.send(once)
    await client.takeAny([msg.userauthSuccess, msg.disconnect]).catch(() => undefined)
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(loop.controllers.size - before).toBeLessThanOrEqual(1)
    client.destroy()
    await expect.poll(() => loop.controllers.size, { timeout: 5000 }).toBeLessThanOrEqual(before)
  })
})

describe.skipIf(!hasSshd)('who goes away', () => {
  test('without a word, while a command is held: the session ends at once, although the socket is closed in one direction only', async () => {
    const client = await loggedIn()
    client.exec(await client.session(), 'touch /tmp/never')
    await client.take(msg.channelExtendedData)
    const before = loop.ends.length
    client.socket.end()
    await expect.poll(() => loop.ends.length, { timeout: 2000 }).toBe(before + 1)
  })
})

describe.skipIf(!hasSshd)('S4 what a channel may be asked for', () => {
  test('unknown channel types are refused, and nothing comes of them', async () => {
    const client = await loggedIn()
    for (const [type, more] of [
      ['direct-streamlocal@openssh.com', Buffer.concat([string('/var/run/docker.sock'), string(''), Buffer.alloc(4)])],
      ['tun@openssh.com', Buffer.alloc(8)],
      ['x11', Buffer.concat([string('127.0.0.1'), Buffer.alloc(4)])],
      ['auth-agent@openssh.com', Buffer.alloc(0)],
      ['forwarded-tcpip', Buffer.concat([string('127.0.0.1'), Buffer.of(0, 0, 0, 22), string('127.0.0.1'), Buffer.of(0, 0, 0, 22)])],
      ['session\0', Buffer.alloc(0)],
      ['SESSION', Buffer.alloc(0)],
      ['', Buffer.alloc(0)],
    ] as const) {
      client.openChannel(type, more)
      expect([type, (await client.takeAny([msg.channelOpenConfirmation, msg.channelOpenFailure]))[0]]).toEqual([type, msg.channelOpenFailure])
    }
    client.exec(await client.session(), 'echo usable')
    expect(await client.finished()).toEqual({ output: 'usable\n', status: 0 })
  })

  test('a socket of the target is a forward that nobody gets, and on record', async () => {
    const from = loop.events.length
    const client = await loggedIn()
    client.openChannel('direct-streamlocal@openssh.com', Buffer.concat([string('/var/run/docker.sock'), string(''), Buffer.alloc(4)]))
    await client.take(msg.channelOpenFailure)
    await expect.poll(() => texts(from)).toEqual(['deny channel direct-streamlocal@openssh.com /var/run/docker.sock'])
  })

  test('unknown global requests are refused, one by one', async () => {
    const client = await loggedIn()
    const names = ['tcpip-forward\0', 'streamlocal-forward@openssh.com', 'hostkeys-prove-00@openssh.com', 'keepalive@openssh.com', 'x'.repeat(20_000)]
    for (const name of names) client.send(new WireWriter().byte(msg.globalRequest).string(name).byte(1).string('/tmp/socket').bytes())
    for (const name of names) expect([name.slice(0, 40), (await client.takeAny([msg.requestFailure, msg.requestSuccess]))[0]]).toEqual([name.slice(0, 40), msg.requestFailure])
  })

  test('unknown requests on a channel are refused; env and a terminal after the command change nothing', async () => {
    const client = await loggedIn()
    const channel = await client.session()
    for (const type of ['eow@openssh.com', 'xon-xoff', 'break', 'exec\0', 'EXEC', '']) {
      client.request(channel, type, Buffer.concat([string('echo other'), Buffer.alloc(4)]))
      expect([type, (await client.takeAny([msg.channelSuccess, msg.channelFailure]))[0]]).toEqual([type, msg.channelFailure])
    }
    client.exec(channel, 'env')
    client.request(channel, 'env', Buffer.concat([string('LC_LATE'), string('1')]), false)
    client.request(channel, 'pty-req', Buffer.concat([string('xterm'), Buffer.alloc(16), string('\0')]), false)
    const { output, status } = await client.finished()
    expect([status, output.includes('LC_LATE'), output.includes('TERM=xterm'), output.includes('SSH_TTY')]).toEqual([0, false, false, false])
  })

  test('a second command on a channel is refused, and the first one goes on', async () => {
    const from = loop.events.length
    const client = await loggedIn()
    const channel = await client.session()
    client.exec(channel, 'cat')
    await client.take(msg.channelSuccess)
    client.exec(channel, 'echo second')
    client.request(channel, 'shell')
    client.request(channel, 'subsystem', string('sftp'))
    client.data(channel, Buffer.from('still here'))
    client.send(new WireWriter().byte(msg.channelEof).uint32(channel).bytes())
    expect(await client.finished()).toEqual({ output: 'still here', status: 0 })
    expect(texts(from)).toEqual(['allow cat'])
  })

  test('two terminals: the last one asked for before the command counts', async () => {
    const client = await loggedIn()
    const channel = await client.session()
    for (const term of ['first', 'last']) client.request(channel, 'pty-req', Buffer.concat([string(term), Buffer.alloc(16), string('\0')]))
    client.exec(channel, 'env')
    const { output } = await client.finished()
    expect(output).toContain('TERM=last')
    expect(output).not.toContain('TERM=first')
  })

  test('variables that change what runs never reach the target, and are on record', async () => {
    const from = loop.events.length
    const client = await loggedIn()
    const channel = await client.session()
    const bad = ['LD_PRELOAD', 'LD_LIBRARY_PATH', 'BASH_ENV', 'ENV', 'PATH', 'IFS', 'PS4', 'SHELLOPTS', 'GIT_SSH_COMMAND', 'PYTHONSTARTUP', 'PERL5OPT', 'DEPLOY_X', 'LC_ALL=x', 'LC_A\nLD_PRELOAD', '']
    for (const name of bad) client.request(channel, 'env', Buffer.concat([string(name), string('/tmp/evil.so')]), false)
    client.request(channel, 'env', Buffer.concat([string('LC_ALL'), string('../../tmp/x')]), false)
    client.request(channel, 'env', Buffer.concat([string('LC_TIME'), string('C.UTF-8')]), false)
    client.exec(channel, 'env')
    const { output, status } = await client.finished()
    expect([status, output.includes('evil.so'), output.includes('../../tmp/x'), output.includes('LC_TIME=C.UTF-8')]).toEqual([0, false, false, true])
    expect(texts(from)).toEqual(expect.arrayContaining(['deny env LD_PRELOAD=/tmp/evil.so', 'deny env BASH_ENV=/tmp/evil.so', 'deny env GIT_SSH_COMMAND=/tmp/evil.so', 'deny env DEPLOY_X=/tmp/evil.so']))
  })

  test.each([
    ['a NUL', Buffer.from('echo a\0b')],
    ['bytes that are no UTF-8', Buffer.from([0x65, 0x63, 0x68, 0x6f, 0x20, 0xff, 0xfe])],
    ['a newline and another command', Buffer.from('echo a\nid')],
    ['a carriage return', Buffer.from('echo a\rid')],
    ['terminal escapes', Buffer.from('echo \x1b]52;c;aWQ=\x07')],
    ['a bidirectional override', Buffer.from('echo \u202e/etc/passwd')],
    ['nothing', Buffer.alloc(0)],
    ['a blank', Buffer.from(' ')],
    ['scp with an option for the shell', Buffer.from('scp -h; id')],
    ['scp with a substitution', Buffer.from('scp -f $(id)')],
    ['scp with a program to run', Buffer.from('scp -S /tmp/evil -t x')],
    ['scp with a newline', Buffer.from('scp -t x\nid')],
    ['rsync with a shell', Buffer.from('rsync --server -e id . /tmp')],
    ['git with a program', Buffer.from("git-upload-pack --upload-pack=id '/x'")],
    ['more than 64 KiB', Buffer.from(`echo ${'x'.repeat(30_000)}`.padEnd(32_000, 'y'))],
  ])('a command with %s is denied, and nothing runs', async (what, command) => {
    const client = await loggedIn()
    const channel = await client.session()
    client.exec(channel, what.startsWith('more') ? command.subarray(0, 32_000) : command)
    const { status, output } = await client.finished()
    expect([what, status]).toEqual([what, what.startsWith('more') ? 0 : 126])
    if (!what.startsWith('more')) expect(output).toContain('Sallyport')
  })

  test.each([
    ['the name of a variable', 'env', [string('X'.repeat(2000)), string('1')]],
    ['the value of a variable', 'env', [string('LC_ALL'), string('x'.repeat(32_770))]],
    ['the name of a terminal', 'pty-req', [string('t'.repeat(2000)), Buffer.alloc(16), string('\0')]],
    ['the name of a signal', 'signal', [string('s'.repeat(2000))]],
  ])('a huge %s is left out, and the session goes on', async (_what, type, parts) => {
    const client = await loggedIn()
    const channel = await client.session()
    client.request(channel, type, Buffer.concat(parts), false)
    client.exec(channel, 'echo after')
    expect(await client.finished()).toEqual({ output: 'after\n', status: 0 })
  })

  test('a subsystem or an address of an impossible size is refused, and the session goes on', async () => {
    const client = await loggedIn()
    const channel = await client.session()
    client.request(channel, 'subsystem', string('s'.repeat(2000)))
    expect((await client.finished()).status).toBe(126)
    client.openChannel('direct-tcpip', Buffer.concat([string('h'.repeat(2000)), Buffer.of(0, 0, 0, 22), string('127.0.0.1'), Buffer.of(0, 0, 0, 1)]))
    await client.take(msg.channelOpenFailure)
    client.openChannel('direct-tcpip', Buffer.concat([string('h'), Buffer.of(0xff, 0xff, 0xff, 0xff), string('127.0.0.1'), Buffer.of(0, 0, 0, 1)]))
    await client.take(msg.channelOpenFailure)
    client.send(new WireWriter().byte(msg.globalRequest).string('tcpip-forward').byte(1).string('h'.repeat(2000)).uint32(0xffff_ffff).bytes())
    await client.take(msg.requestFailure)
    client.exec(await client.session(), 'echo after')
    expect(await client.finished()).toEqual({ output: 'after\n', status: 0 })
  })
})

describe.skipIf(!hasSshd)('S7 what would exhaust the gateway', () => {
  test.each([0, 1])('a channel that takes packets of %i bytes', async (packet) => {
    const client = await loggedIn()
    client.openChannel('session', Buffer.alloc(0), { packet })
    await client.ended()
    await stillServes()
  })

  test('more data than the window: the connection ends, however slow the command reads', async () => {
    const before = process.memoryUsage().rss
    const client = await loggedIn()
    const channel = await client.session()
    client.exec(channel, 'sleep 20')
    await client.take(msg.channelSuccess)
    const piece = Buffer.alloc(32_000)
    for (let count = 0; count < 4000 && !client.closed; count += 1) {
      client.data(channel, piece)
      if (count % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await client.ended()
    expect(process.memoryUsage().rss - before).toBeLessThan(128 * 1024 * 1024)
  })

  test('ten thousand channels: sixty-four are open, the others are refused', async () => {
    const client = await loggedIn()
    for (let id = 0; id < 10_000; id += 1) client.openChannel('session', Buffer.alloc(0), { id })
    await expect.poll(() => client.messages.filter(([kind]) => kind === msg.channelOpenConfirmation || kind === msg.channelOpenFailure).length, { timeout: 20_000 }).toBe(10_000)
    expect(client.messages.filter(([kind]) => kind === msg.channelOpenConfirmation)).toHaveLength(64)
    await stillServes()
  }, 40_000)

  test.each([
    ['a packet of 4 GiB', Buffer.from('ffffffff0a14', 'hex')],
    ['a packet of no length', Buffer.alloc(64)],
    ['a packet over the limit', Buffer.from('00040000', 'hex')],
    ['padding longer than the packet', Buffer.from('0000000cff140000000000000000000000', 'hex')],
    ['noise', randomBytes(70_000)],
  ])('%s instead of a key exchange ends the connection', async (_what, bytes) => {
    const client = await RawClient.open(loop.port)
    open.push(client)
    client.write('SSH-2.0-x\r\n')
    client.write(bytes)
    await client.ended()
    await stillServes()
  })

  test.each([
    ['a length that lies', (client: RawClient) => Buffer.concat([Buffer.from('00ffffff', 'hex'), client.packet(Buffer.from('02', 'hex')).subarray(4)])],
    ['a packet with a changed bit', (client: RawClient) => {
      const packet = client.packet(Buffer.concat([Buffer.of(2), string('x')]))
      packet[6] = (packet[6] ?? 0) ^ 1
      return packet
    }],
    ['a packet twice', (client: RawClient) => {
      const packet = client.packet(Buffer.concat([Buffer.of(2), string('x')]))
      return Buffer.concat([packet, packet])
    }],
    ['a string longer than its packet', (client: RawClient) => client.packet(Buffer.concat([Buffer.of(msg.channelOpen), Buffer.from('7fffffff', 'hex')]))],
    ['a key exchange message out of turn', (client: RawClient) => client.packet(Buffer.of(msg.newKeys))],
  ])('%s ends the connection', async (_what, bytes) => {
    const client = await loggedIn()
    client.write(bytes(client))
    await client.ended()
    await stillServes()
  })
})

describe.skipIf(!hasSshd)('S2 the beginning of a connection', () => {
  test.each([
    ['another version', 'SSH-1.5-old\r\n'],
    ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a greeting in front', 'hello\r\nSSH-2.0-x\r\n'],
    ['no software', 'SSH-2.0-\r\n'],
    ['a line without end', 'SSH-2.0-'.padEnd(100_000, 'x')],
    ['carriage returns alone', 'SSH-2.0-x\rSSH-2.0-y\r'],
  ])('%s ends it', async (_what, bytes) => {
    const client = await RawClient.open(loop.port)
    open.push(client)
    client.write(bytes)
    await client.ended()
    await stillServes()
  })

  test('the server offers strict key exchange, and nothing old', async () => {
    const client = await connect()
    const offered = client.serverKexInit.toString('latin1')
    expect(offered).toContain('kex-strict-s-v00@openssh.com')
    expect(offered).not.toMatch(/sha1|-cbc|group1-|group14|ssh-dss|ssh-rsa|arcfour|md5|zlib|chacha20|umac/)
    expect(client.serverIdent).toBe('SSH-2.0-Sallyport')
  })

  test('CVE-2023-48795 a message put into the key exchange ends it', async () => {
    for (const inject of [Buffer.concat([Buffer.of(msg.ignore), string('x')]), Buffer.concat([Buffer.of(4, 0), string('x'), string('')]), Buffer.from('c0', 'hex')]) {
      await expect(connect({ inject })).rejects.toThrow('the connection ended')
    }
    await stillServes()
  })

  test.each([
    ['key exchange', 0, 'diffie-hellman-group14-sha1,diffie-hellman-group1-sha1'],
    ['host key', 1, 'ssh-rsa,ssh-dss'],
    ['cipher', 2, 'aes128-cbc,3des-cbc,arcfour,none'],
    ['cipher back', 3, 'chacha20-poly1305@openssh.com'],
    ['compression', 6, 'zlib,zlib@openssh.com'],
  ])('no common %s: refused', async (_what, list, names) => {
    await expect(connect({ lists: { [list]: names } })).rejects.toThrow('the connection ended')
  })

  test.each([
    ['with a percent sign in front', '%web-01'],
    ['with many', 'a%b%c%d%web-01'],
    ['with a NUL', 'web-01\0%root'],
    ['with a newline', 'web-01\nroot'],
    ['with terminal escapes', '\x1b]0;x\x07web-01'],
    ['of 30000 characters', 'x'.repeat(30_000)],
    ['without any', ''],
    ['of bytes that are no text', Buffer.from([0xff, 0xfe, 0xfd]).toString('latin1')],
  ])('a user name %s is nobody', async (_what, user) => {
    const client = await connect()
    await client.requestService()
    client.send(client.signedKeyRequest(user, stranger))
    await client.takeAny([msg.userauthFailure, msg.disconnect]).catch(() => undefined)
    client.openChannel('session')
    await client.take(msg.channelOpenFailure).catch(() => undefined)
    expect(client.messages.some(([kind]) => kind === msg.userauthSuccess || kind === msg.channelOpenConfirmation)).toBe(false)
    await stillServes()
  })
})
