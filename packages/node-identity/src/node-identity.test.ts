import { createHash, createPublicKey, randomBytes, verify, X509Certificate } from 'node:crypto'
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { credentials as grpcCredentials, Metadata, Server } from '@grpc/grpc-js'
import { jwsType, verifyControlJws } from '@sallyport/kit'
import { enrolmentService, TunnelClient, tunnelService, type TunnelHandlers } from '@sallyport/proto'
import { CompactEncrypt } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { enrol, linkChannelOptions, loadIdentity, optionalClientCertificates, parseEnrolmentToken, peerName, renewIfNeeded, type NodeIdentity } from './index.js'
import { TestAuthority } from './testing/index.js'

let authority: TestAuthority
let server: Server
let port: number
let dataDir: string
const seen: (string | undefined)[] = []

async function serve(uri: string): Promise<[Server, number]> {
  const made = new Server()
  made.addService(enrolmentService, authority.handlers())
  const tunnel: TunnelHandlers = {
    Connect: (call) => {
      const peer = peerName(call.getAuthContext().sslPeerCertificate?.raw ?? Buffer.alloc(0))
      seen.push(peer === undefined ? undefined : `${peer.kind}:${'nodeId' in peer ? peer.nodeId : ''}`)
      call.end()
    },
  }
  made.addService(tunnelService, tunnel)
  const { credentials } = optionalClientCertificates(await authority.tls(uri))
  const bound = await new Promise<number>((resolve, reject) => {
    made.bindAsync('127.0.0.1:0', credentials, (error, found) => (error ? reject(error) : resolve(found)))
  })
  return [made, bound]
}

beforeAll(async () => {
  authority = await TestAuthority.create()
  ;[server, port] = await serve('sallyport:control-plane')
})
afterAll(() => server.forceShutdown())
beforeEach(async () => {
  authority.tamper = (reply) => reply
  seen.length = 0
  dataDir = await mkdtemp(join(tmpdir(), 'sallyport-identity-'))
  return () => rm(dataDir, { recursive: true, force: true })
})

function enrolHere(token = authority.token('gateway')): Promise<NodeIdentity> {
  return enrol({ endpoint: `127.0.0.1:${port}`, token, kind: 'gateway', hostnames: ['db.example.test', '127.0.0.1'], dataDir, timeoutMilliseconds: 5_000 })
}

describe('enrolment', () => {
  it('makes a key of its own, keeps it private, and loads the same identity again', async () => {
    const identity = await enrolHere()
    expect(identity.kind).toBe('gateway')
    expect(identity.certificate.checkHost('db.example.test')).toBe('db.example.test')
    expect(identity.certificate.checkIP('127.0.0.1')).toBe('127.0.0.1')
    expect((await stat(join(dataDir, 'node.key'))).mode & 0o777).toBe(0o600)
    expect((await stat(dataDir)).mode & 0o777).toBe(0o700)
    expect((await readdir(dataDir)).toSorted()).toEqual(['identity.json', 'node.key'])
    const loaded = await loadIdentity(dataDir)
    expect(loaded?.nodeId).toBe(identity.nodeId)
    expect(loaded?.certificateSha256).toBe(identity.certificateSha256)
    expect(await readFile(join(dataDir, 'identity.json'), 'utf8')).not.toContain('PRIVATE KEY')
  })

  it('has no identity before', async () => {
    expect(await loadIdentity(dataDir)).toBeUndefined()
  })

  it('refuses a used token with the reason, and repeats with the same key', async () => {
    const token = authority.token('gateway')
    const first = await enrolHere(token)
    await rm(join(dataDir, 'identity.json'))
    await expect(enrolHere(token)).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED', message: expect.stringContaining('used') as string })
    expect((await enrolHere()).keyPem).toBe(first.keyPem)
  })

  it('I: refuses a control plane whose keys are not those of the token', async () => {
    const other = createHash('sha256').update('other').digest('hex')
    await expect(enrolHere(authority.token('gateway', other))).rejects.toMatchObject({ code: 'TRUST_BUNDLE_MISMATCH' })
    authority.tamper = (reply) => ({ ...reply, trustBundle: Buffer.concat([authority.trustBundle, Buffer.from(' ')]) })
    await expect(enrolHere()).rejects.toMatchObject({ code: 'TRUST_BUNDLE_MISMATCH' })
    expect(await loadIdentity(dataDir)).toBeUndefined()
  })

  it.each([
    ['of another CA', async () => (await TestAuthority.create()).issue(await ownSpki(), { uris: [`sallyport:gateway:n1`] }), 'did not issue'],
    ['of a CA with the same name', async () => (await TestAuthority.create('CN=Test CA')).issue(await ownSpki(), { uris: ['sallyport:gateway:n1'] }), 'did not issue'],
    ['for another key', async () => new X509Certificate((await authority.tls('sallyport:gateway:n1')).certificatePem).raw, 'another key'],
    ['of another role', async () => authority.issue(await ownSpki(), { uris: ['sallyport:agent:n1'] }), 'does not name'],
    ['of another node', async () => authority.issue(await ownSpki(), { uris: ['sallyport:gateway:n2'] }), 'does not name'],
    ['with two names', async () => authority.issue(await ownSpki(), { uris: ['sallyport:gateway:n1', 'sallyport:control-plane'] }), 'does not name'],
    ['that expired', async () => authority.issue(await ownSpki(), { uris: ['sallyport:gateway:n1'], notAfter: new Date(Date.now() - 1000) }), 'expired'],
    ['from the future', async () => authority.issue(await ownSpki(), { uris: ['sallyport:gateway:n1'], notBefore: new Date(Date.now() + 600_000) }), 'future'],
  ])('refuses a certificate %s', async (_name, make, why) => {
    await enrolHere()
    const certificate = await make()
    authority.tamper = (reply) => ({ ...reply, nodeId: 'n1', certificate })
    await expect(enrolHere()).rejects.toMatchObject({ code: 'CERTIFICATE_INVALID', message: expect.stringContaining(why) as string })
  })

  async function ownSpki(): Promise<Buffer> {
    return createPublicKey(await readFile(join(dataDir, 'node.key'), 'utf8')).export({ type: 'spki', format: 'der' })
  }

  it('says so when nobody answers', async () => {
    const attempt = enrol({ endpoint: '127.0.0.1:9', token: authority.token('agent'), kind: 'agent', dataDir, timeoutMilliseconds: 300 })
    await expect(attempt).rejects.toMatchObject({ code: 'UNREACHABLE' })
  })

  it('never quotes a malformed token', () => {
    const token = `spe1.id.${randomBytes(32).toString('base64url')}.short`
    expect(() => parseEnrolmentToken(token)).toThrow(/copy it whole/)
    expect(() => parseEnrolmentToken(token)).not.toThrow(token.slice(8, 20))
  })
})

describe('the files', () => {
  it('are refused when others may read the key, or when they are damaged', async () => {
    await enrolHere()
    await chmod(join(dataDir, 'node.key'), 0o644)
    await expect(loadIdentity(dataDir)).rejects.toMatchObject({ code: 'KEY_PERMISSIONS' })
    await chmod(join(dataDir, 'node.key'), 0o600)
    await writeFile(join(dataDir, 'identity.json'), '{"version":1')
    await expect(loadIdentity(dataDir)).rejects.toMatchObject({ code: 'IDENTITY_UNREADABLE' })
  })

  it('are refused when the trust bundle in them was changed', async () => {
    await enrolHere()
    const path = join(dataDir, 'identity.json')
    const stored = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
    await writeFile(path, JSON.stringify({ ...stored, trust_bundle: Buffer.from('{}').toString('base64') }))
    await expect(loadIdentity(dataDir)).rejects.toMatchObject({ code: 'TRUST_BUNDLE_MISMATCH' })
  })

  it('are refused when the certificate has expired', async () => {
    await enrolHere()
    await expect(loadIdentity(dataDir, new Date(Date.now() + 4_000_000))).rejects.toMatchObject({ code: 'CERTIFICATE_INVALID' })
  })
})

describe('the identity', () => {
  it('signs what the control plane can verify, and decrypts what is for it', async () => {
    const identity = await enrolHere()
    const payload = Buffer.from('payload')
    const signature = identity.sign(payload)
    expect(signature).toHaveLength(64)
    const signed = Buffer.concat([Buffer.from('sallyport-link-v1\0'), payload])
    expect(verify('sha256', signed, { key: identity.certificate.publicKey, dsaEncoding: 'ieee-p1363' }, signature)).toBe(true)
    const jwe = await new CompactEncrypt(Buffer.from('mask key'))
      .setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM' })
      .encrypt(identity.certificate.publicKey)
    expect((await identity.decrypt(jwe)).toString()).toBe('mask key')
  })

  it('pins the control plane’s signing keys', async () => {
    const { pinnedKeys } = await enrolHere()
    const jws = await authority.sign(jwsType.ack, { agent: 'a', seq: 1 })
    expect(await verifyControlJws(jws, jwsType.ack, pinnedKeys)).toEqual({ agent: 'a', seq: 1 })
    const forged = await (await TestAuthority.create()).sign(jwsType.ack, { agent: 'a', seq: 1 })
    await expect(verifyControlJws(forged, jwsType.ack, pinnedKeys)).rejects.toThrow(/does not verify/)
  })

  it('connects by mTLS under any host name, and only to the role it wants', async () => {
    const identity = await enrolHere()
    const connect = (peer: 'gateway' | 'control-plane', to = port): Promise<Error | undefined> =>
      new Promise((resolve) => {
        const client = new TunnelClient(`127.0.0.1:${to}`, identity.channelCredentials(peer), linkChannelOptions)
        const call = client.connect(new Metadata(), { deadline: Date.now() + 3_000 })
        call.on('error', (error) => resolve(error))
        call.on('end', () => resolve(undefined))
        call.on('close', () => client.close())
        call.resume()
      })
    expect(await connect('control-plane')).toBeUndefined()
    expect(seen).toEqual([`gateway:${identity.nodeId}`])
    expect((await connect('gateway'))?.message).toMatch(/not a gateway's/)
    const stranger = await TestAuthority.create()
    const [impostor, impostorPort] = await new Promise<[Server, number]>((resolve, reject) => {
      const made = new Server()
      const tunnel: TunnelHandlers = { Connect: (call) => call.end() }
      made.addService(tunnelService, tunnel)
      stranger.tls('sallyport:control-plane').then(
        (tls) => made.bindAsync('127.0.0.1:0', optionalClientCertificates(tls).credentials, (error, found) => (error ? reject(error) : resolve([made, found]))),
        reject,
      )
    })
    expect(await connect('control-plane', impostorPort)).toBeInstanceOf(Error)
    impostor.forceShutdown()
  })

  it('gives a client without a certificate no name', async () => {
    const client = new TunnelClient(`127.0.0.1:${port}`, grpcCredentials.createSsl(Buffer.from(authority.caPem)))
    await new Promise<void>((resolve) => {
      const call = client.connect()
      call.on('error', () => resolve())
      call.on('end', resolve)
      call.resume()
    })
    client.close()
    expect(seen).toEqual([undefined])
  })

  it('renews in the last third of its life with the same key, and refuses another trust bundle', async () => {
    const identity = await enrolHere()
    const options = { endpoint: `127.0.0.1:${port}`, peer: 'control-plane' as const, timeoutMilliseconds: 5_000 }
    expect(await renewIfNeeded(identity, options)).toBe(identity)
    const late = { ...options, hostnames: ['new.example.test'] }
    authority.tamper = (reply) => ({ ...reply, trustBundle: Buffer.from('{"ca":"","keys":[]}') })
    await expect(renewIfNeeded(identity, late)).rejects.toMatchObject({ code: 'TRUST_BUNDLE_MISMATCH' })
    expect((await loadIdentity(dataDir))?.certificateSha256).toBe(identity.certificateSha256)
    authority.tamper = (reply) => reply
    const renewed = await renewIfNeeded(identity, late)
    expect(renewed.nodeId).toBe(identity.nodeId)
    expect(renewed.keyPem).toBe(identity.keyPem)
    expect(renewed.certificate.checkHost('new.example.test')).toBe('new.example.test')
    const third = { ...options, now: () => new Date(renewed.expiresAt.getTime() - 60_000) }
    expect((await renewIfNeeded(renewed, third)).certificateSha256).not.toBe(renewed.certificateSha256)
  })
})
