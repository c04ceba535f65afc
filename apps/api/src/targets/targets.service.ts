import { Injectable } from '@nestjs/common'
import type { TargetDocument } from '@sallyport/policy'
import { DocumentsService } from '../documents/documents.service.js'
import { KeysService } from '../keys/keys.service.js'
import { protocolOf } from '../protocols.js'
import { TargetsConfig } from './targets.config.js'

/** What a client puts into its settings. `ca_pem` is the CA that the gateway's certificate chains to. */
export interface Connection {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly sslmode: 'verify-full'
  readonly ca_pem: string
}

export interface TargetView {
  readonly name: string
  readonly protocol: string
  readonly labels: Readonly<Record<string, string>>
}

/** Targets as clients see them: never their address or credential references. */
@Injectable()
export class TargetsService {
  constructor(
    private readonly documents: DocumentsService,
    private readonly keys: KeysService,
    private readonly config: TargetsConfig,
  ) {}

  find(name: string): Promise<TargetDocument | undefined> {
    return this.documents.get('Target', name)
  }

  async list(): Promise<TargetView[]> {
    return (await this.documents.list('Target')).map(viewOf)
  }

  /** @param user what the client gives as its user name: a JIT credential's, or the target's own for a token as password */
  async connection(target: TargetDocument, user: string): Promise<Connection> {
    return {
      host: this.config.host,
      port: this.config.portOf(target.spec.protocol),
      database: databaseOf(target) ?? target.name,
      user,
      sslmode: 'verify-full',
      ca_pem: (await this.keys.authority()).certificatePem,
    }
  }
}

/**
 * The target as one session may use it: what its protocol makes of the client's start parameters.
 * @throws {TargetSpecError} when the target doesn't offer what the parameters ask for
 */
export function narrowedTo(target: TargetDocument, parameters: Readonly<Record<string, string>>): TargetDocument {
  const descriptor = protocolOf(target.spec.protocol)
  if (!descriptor?.resolveSession) return target
  return { ...target, spec: { ...target.spec, connection: descriptor.resolveSession(target.spec.connection, parameters) } }
}

/** Whether clients of the target's protocol can prove a public key. */
export function takesPublicKeys(target: TargetDocument): boolean {
  return protocolOf(target.spec.protocol)?.resolveSession !== undefined
}

export function viewOf(target: TargetDocument): TargetView {
  return { name: target.name, protocol: target.spec.protocol, labels: target.labels }
}

/** The database that a target stands for, when its protocol has such a thing. */
export function databaseOf(target: TargetDocument): string | undefined {
  const database = target.spec.connection['database']
  return typeof database === 'string' ? database : undefined
}
