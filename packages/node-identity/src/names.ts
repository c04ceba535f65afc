import 'reflect-metadata'
import { SubjectAlternativeNameExtension, X509Certificate } from '@peculiar/x509'

export type NodeKind = 'agent' | 'gateway'

/** Who a certificate of our CA belongs to: its one URI name `sallyport:<kind>[:<node id>]`. */
export type PeerName = { readonly kind: NodeKind; readonly nodeId: string } | { readonly kind: 'control-plane' }

/**
 * Reads the name out of a certificate (DER). The extension is decoded as ASN.1, never as OpenSSL's text, in which a
 * crafted name could fake a second one. Undefined when there is none, or more than one.
 * The certificate's signature is not checked here.
 */
export function peerName(certificate: Uint8Array): PeerName | undefined {
  let names: string[]
  try {
    const extension = new X509Certificate(Uint8Array.from(certificate)).getExtension(SubjectAlternativeNameExtension)
    names = (extension?.names.toJSON() ?? []).flatMap(({ type, value }) => (type === 'url' && value.startsWith('sallyport:') ? [value] : []))
  } catch {
    return undefined
  }
  const [name, ...others] = names
  if (name === undefined || others.length > 0) return undefined
  if (name === 'sallyport:control-plane') return { kind: 'control-plane' }
  const [, kind, nodeId] = /^sallyport:(agent|gateway):([A-Za-z0-9_-]{1,64})$/.exec(name) ?? []
  return (kind === 'agent' || kind === 'gateway') && nodeId !== undefined ? { kind, nodeId } : undefined
}
