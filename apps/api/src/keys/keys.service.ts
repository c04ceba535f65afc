import { createHmac, createPublicKey, generateKeyPairSync, hkdfSync, createPrivateKey, createHash, randomBytes, sign, type JsonWebKey, type KeyObject } from 'node:crypto'
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common'
import { publicKeyOf, type SshPublicKey } from '@sallyport/ssh-keys'
import { calculateJwkThumbprint, CompactEncrypt, CompactSign, exportJWK, importSPKI } from 'jose'
import { ENVIRONMENT, type Environment } from '../config/environment.js'
import { CertificateAuthority, makeAuthorityCertificate } from './certificate-authority.js'
import { KeysRepository } from './keys.repository.js'
import { readMasterKey } from './master-key.js'
import { seal, unseal } from './seal.js'

interface SigningKey {
  readonly kid: string
  readonly privateKey: KeyObject
  readonly jwk: JsonWebKey
}

/** The CA that signs users' SSH certificates for gateways. Targets never trust it. */
export interface SshAuthority {
  readonly privateKey: KeyObject
  readonly publicKey: SshPublicKey
}

interface Loaded {
  readonly signing: SigningKey
  readonly authority: CertificateAuthority
  readonly ssh: SshAuthority
  readonly maskRoot: Buffer
  readonly mockRoot: Buffer
  readonly bundle: { readonly json: string; readonly fingerprint: string }
}

/** The control plane's keys. Stored sealed with the master key; the private parts never leave this file's keeping. */
@Injectable()
export class KeysService implements OnModuleInit {
  #loaded: Promise<Loaded> | undefined

  constructor(
    private readonly repository: KeysRepository,
    @Inject(ENVIRONMENT) private readonly environment: Environment,
  ) {}

  /** At start, so that a wrong master key is told at once. */
  async onModuleInit(): Promise<void> {
    await this.#keys()
  }

  /** Compact JWS (RFC 7515), EdDSA, with `kid` and `typ`. */
  async sign(typ: string, payload: object): Promise<string> {
    const { signing } = await this.#keys()
    return new CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader({ alg: 'EdDSA', kid: signing.kid, typ }).sign(signing.privateKey)
  }

  /** Ed25519 over the text itself: for checkpoints of the audit log, which have a form of their own. */
  async signText(text: string): Promise<Buffer> {
    return sign(null, Buffer.from(text), (await this.#keys()).signing.privateKey)
  }

  /** The public key (JWK) of what is signed now. */
  async publicKey(): Promise<JsonWebKey> {
    return (await this.#keys()).signing.jwk
  }

  /** Public keys (JWK) of everything that was ever signed. */
  async publicKeys(): Promise<readonly JsonWebKey[]> {
    return [await this.publicKey()]
  }

  /** Compact JWE (ECDH-ES+A256KW, A256GCM) that only the holder of this P-256 key (DER SPKI) can open. */
  async encryptFor(publicKeySpki: Uint8Array, data: Uint8Array): Promise<string> {
    const pem = createPublicKey({ key: Buffer.from(publicKeySpki), format: 'der', type: 'spki' }).export({ format: 'pem', type: 'spki' }).toString()
    const key = await importSPKI(pem, 'ECDH-ES+A256KW')
    return new CompactEncrypt(data).setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM' }).encrypt(key)
  }

  /** What nodes pin at enrolment: the CA and the signing keys; fingerprint is the SHA-256 (hex) of exactly this text. */
  async trustBundle(): Promise<{ readonly json: string; readonly fingerprint: string }> {
    return (await this.#keys()).bundle
  }

  /** The 32-byte key of a target's keyed-hash masks. Stable, so that masked values still join. */
  async maskKey(target: string): Promise<Uint8Array> {
    return new Uint8Array(hkdfSync('sha256', (await this.#keys()).maskRoot, '', `sallyport-mask-v1:${target}`, 32))
  }

  /** The 32-byte key of what sinks make of statements (keyed digests) or of identities (pseudonyms). One per installation. */
  async sinkKey(of: 'statement' | 'identity'): Promise<Uint8Array> {
    return new Uint8Array(hkdfSync('sha256', (await this.#keys()).maskRoot, '', `sallyport-sink-v1:${of}`, 32))
  }

  /** What a person's name or address is found by, without standing there: keyed, so that names can't be tried against it without the keys. */
  async identifierDigest(text: string): Promise<Buffer> {
    const key = Buffer.from(hkdfSync('sha256', (await this.#keys()).maskRoot, '', 'sallyport-person-v1', 32))
    return createHmac('sha256', key).update(text).digest()
  }

  /** Encrypts something small with the master key, bound to `id`. */
  sealPart(id: string, data: Uint8Array): Buffer {
    return seal(readMasterKey(this.environment).expose(), id, data)
  }

  /** @throws when the master key is another one, or the bytes were changed */
  unsealPart(id: string, sealed: Uint8Array): Buffer {
    return unseal(readMasterKey(this.environment).expose(), id, sealed)
  }

  /** A stable fake for what doesn't exist, so that an answer doesn't tell whether it does. */
  async decoy(label: string, bytes: number): Promise<Buffer> {
    return Buffer.from(hkdfSync('sha256', (await this.#keys()).mockRoot, '', `sallyport-decoy-v1:${label}`, bytes))
  }

  /** The CA of gateways, agents and the control plane's own gRPC server. */
  async authority(): Promise<CertificateAuthority> {
    return (await this.#keys()).authority
  }

  async sshAuthority(): Promise<SshAuthority> {
    return (await this.#keys()).ssh
  }

  #keys(): Promise<Loaded> {
    this.#loaded ??= this.#load().catch((error: unknown) => {
      this.#loaded = undefined
      throw error
    })
    return this.#loaded
  }

  async #load(): Promise<Loaded> {
    const signing = await this.#signingKey()
    const authority = await this.#authorityKey()
    const ssh = await this.#sshKey()
    const maskRoot = (await this.#stored('mask/1', 'mask', () => ({ secret: randomBytes(32), publicPart: null }))).secret
    const mockRoot = (await this.#stored('decoy/1', 'decoy', () => ({ secret: randomBytes(32), publicPart: null }))).secret
    const json = JSON.stringify({ ca: authority.certificatePem, keys: [signing.jwk] })
    const fingerprint = createHash('sha256').update(json).digest('hex')
    return { signing, authority, ssh, maskRoot, mockRoot, bundle: { json, fingerprint } }
  }

  async #signingKey(): Promise<SigningKey> {
    const { secret } = await this.#stored('signing/1', 'signing', () => ({
      secret: generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }),
      publicPart: null,
    }))
    const privateKey = createPrivateKey({ key: secret, format: 'der', type: 'pkcs8' })
    const { kty, crv, x } = await exportJWK(createPublicKey(privateKey))
    const kid = await calculateJwkThumbprint({ kty: kty ?? '', ...(crv === undefined ? {} : { crv }), ...(x === undefined ? {} : { x }) })
    // Field order is part of the fingerprint: always these, always so.
    return { kid, privateKey, jwk: { ...(kty === undefined ? {} : { kty }), ...(crv === undefined ? {} : { crv }), ...(x === undefined ? {} : { x }), kid, alg: 'EdDSA', use: 'sig' } }
  }

  async #authorityKey(): Promise<CertificateAuthority> {
    const { secret, publicPart } = await this.#stored('ca/1', 'ca', async () => {
      const made = await makeAuthorityCertificate()
      return { secret: made.privateKeyDer, publicPart: made.certificatePem }
    })
    return CertificateAuthority.load(secret, publicPart ?? '')
  }

  async #sshKey(): Promise<SshAuthority> {
    const { secret } = await this.#stored('ssh-ca/1', 'ssh-ca', () => ({ secret: generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' }), publicPart: null }))
    const privateKey = createPrivateKey({ key: secret, format: 'der', type: 'pkcs8' })
    return { privateKey, publicKey: publicKeyOf(privateKey) }
  }

  async #stored(
    id: string,
    purpose: string,
    make: () => Promise<NewKey> | NewKey,
  ): Promise<{ readonly secret: Buffer; readonly publicPart: string | null }> {
    const masterKey = readMasterKey(this.environment).expose()
    let row = await this.repository.find(id)
    if (!row) {
      const made = await make()
      await this.repository.insertIfAbsent({ id, purpose, publicPart: made.publicPart, sealed: seal(masterKey, id, made.secret) })
      row = await this.repository.find(id)
    }
    if (!row) throw new Error('a key could not be stored')
    return { secret: unseal(masterKey, id, row.sealed), publicPart: row.publicPart }
  }
}

interface NewKey {
  readonly secret: Buffer
  readonly publicPart: string | null
}
