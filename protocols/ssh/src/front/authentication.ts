import type { AuthConversation, ChannelError, FrontContext, SessionGranted } from '@sallyport/kit'
import { splitUserName } from '@sallyport/ssh-keys'
import type { AuthContext, AuthenticationType, PublicKeyAuthContext } from 'ssh2'
import { signatureBlob, signedAlgorithm } from './signature.js'
import { longestAnswer, promptForToken } from './token-prompt.js'

/** Tries of all kinds on one connection. An offered key without a signature is none. */
const maxAttempts = 8
const maxOffers = 32
const maxTokenBytes = 16 * 1024

/** What a client may go on with. */
export const methods: AuthenticationType[] = ['publickey', 'keyboard-interactive', 'password']

const plainAlgorithms = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'ssh-rsa']
const keyAlgorithms = new Set([...plainAlgorithms, 'sk-ssh-ed25519@openssh.com', 'sk-ecdsa-sha2-nistp256@openssh.com'])
/** An RSA certificate is named by the hash of its proof (RFC 8332), and never comes with SHA-1. */
const certifiedAlgorithms = new Set([...plainAlgorithms, 'rsa-sha2-256', 'rsa-sha2-512', 'sk-ssh-ed25519', 'sk-ecdsa-sha2-nistp256'].filter((name) => name !== 'ssh-rsa'))

export interface Authenticated {
  readonly granted: SessionGranted
  readonly parameters: Readonly<Record<string, string>>
}

/**
 * SSH user authentication (RFC 4252), relayed: the control plane verifies every proof. A key that is merely offered is
 * always answered alike, so that nobody learns which keys are known, and never counts as one that signed.
 */
export class Authentication {
  readonly #context: FrontContext
  readonly #clientAddress: string
  readonly #signal: AbortSignal
  #attempts = 0
  #offers = 0

  constructor(context: FrontContext, clientAddress: string, signal: AbortSignal) {
    this.#context = context
    this.#clientAddress = clientAddress
    this.#signal = signal
  }

  /** Whether this client has tried often enough. */
  get exhausted(): boolean {
    return this.#attempts >= maxAttempts || this.#offers > maxOffers
  }

  /**
   * One request of the client. Resolves with the grant when it proved who it is, with an error to tell it when it
   * didn't, with undefined when it failed and there is nothing to tell, and with `answered` for an offer that was.
   */
  async handle(context: AuthContext): Promise<Authenticated | ChannelError | 'answered' | undefined> {
    const user = context.username
    switch (context.method) {
      case 'publickey':
        return this.#publicKey(context, user)
      case 'password':
        return this.#password(user, context.password)
      case 'keyboard-interactive':
        return this.#token(user, await promptForToken(context, splitUserName(user).target.slice(0, 64)))
      default:
        return undefined
    }
  }

  async #publicKey(context: PublicKeyAuthContext, user: string): Promise<Authenticated | ChannelError | 'answered' | undefined> {
    const { algo } = context.key
    const certificate = algo.endsWith('-cert-v01@openssh.com')
    const known = certificate ? certifiedAlgorithms : keyAlgorithms
    if (!known.has(certificate ? algo.slice(0, -'-cert-v01@openssh.com'.length) : algo)) return undefined
    if (context.signature === undefined || context.blob === undefined) {
      this.#offers += 1
      if (this.#offers > maxOffers) return undefined
      context.accept()
      return 'answered'
    }
    const signature = signatureBlob(algo, context.hashAlgo, context.signature)
    if (signature === undefined) return undefined
    const { data: key } = context.key
    const { blob: signedData } = context
    return this.#converse(user, (conversation) => conversation.publicKey({ algorithm: signedAlgorithm(algo, context.hashAlgo), key, signature, signedData }))
  }

  async #password(user: string, password: string): Promise<Authenticated | ChannelError | undefined> {
    const outcome = await this.#token(user, password)
    if (outcome === undefined || 'granted' in outcome || password.length !== longestAnswer) return outcome
    return { ...outcome, hint: `OpenSSH's client sends the first ${longestAnswer} characters of a password only. With -o PreferredAuthentications=keyboard-interactive it is asked for the rest.` }
  }

  #token(user: string, token: string): Promise<Authenticated | ChannelError | undefined> {
    if (Buffer.byteLength(token) > maxTokenBytes || token === '') return Promise.resolve(undefined)
    return this.#converse(user, undefined, token)
  }

  async #converse(user: string, prove: ((conversation: AuthConversation) => void) | undefined, token?: string): Promise<Authenticated | ChannelError | undefined> {
    this.#attempts += 1
    if (this.#attempts > maxAttempts) return { code: 'RATE_LIMITED', message: 'too many authentication attempts', hint: 'Connect again.' }
    const { login } = splitUserName(user)
    const parameters = login === undefined ? {} : { login }
    const conversation = this.#context.broker.authenticate(
      { protocol: 'ssh', user, parameters, clientAddress: this.#clientAddress, serverEndPoint: new Uint8Array(), proofFollows: prove !== undefined },
      this.#signal,
    )
    prove?.(conversation)
    for (;;) {
      const step = await conversation.next()
      switch (step.kind) {
        case 'granted':
          return { granted: step.granted, parameters }
        case 'refused':
          return step.error
        case 'password':
          if (token === undefined) return this.#unexpected(conversation)
          conversation.password(Buffer.from(token))
          break
        default:
          return this.#unexpected(conversation)
      }
    }
  }

  #unexpected(conversation: AuthConversation): ChannelError {
    conversation.abort()
    return { code: 'AUTHENTICATION_FAILED', message: 'this credential can not be used with SSH', hint: 'Use `sallyport exec TARGET -- ssh …`, or an identity token as the password.' }
  }
}
