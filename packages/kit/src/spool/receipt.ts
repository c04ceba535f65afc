const mint = Symbol('receipt')

/** Proof that an event stands in the spool under this number. Only the spool makes one. */
export class Receipt {
  private constructor(
    token: typeof mint,
    readonly seq: number,
  ) {
    if (token !== mint) throw new TypeError('a Receipt comes from the spool')
  }
  static [mint](seq: number): Receipt {
    return new Receipt(mint, seq)
  }
}

/** Package-internal: the one mint. */
export function mintReceipt(seq: number): Receipt {
  return Receipt[mint](seq)
}
