/** The node's name; empty for the empty object that stands for NULL in lists. */
export function kindOf(node) {
    for (const key in node)
        return key;
    return '';
}
/** The node's body if it is of this kind. */
export function as(node, kind) {
    if (node === undefined)
        return undefined;
    return node[kind];
}
/** `String` nodes of a list, in order; other nodes are left out. */
export function strings(nodes) {
    const out = [];
    for (const node of nodes ?? []) {
        const text = as(node, 'String');
        if (text)
            out.push(text.sval ?? '');
    }
    return out;
}
export function qualified(nodes) {
    return qualifiedOf(strings(nodes));
}
export function qualifiedOf(parts) {
    const name = parts.at(-1) ?? '';
    const schema = parts.at(-2);
    const catalog = parts.at(-3);
    return { name, ...(schema === undefined ? {} : { schema }), ...(catalog === undefined ? {} : { catalog }) };
}
/** The items of a `List` node. */
export function items(node) {
    return as(node, 'List')?.items ?? [];
}
/** A constant's value as text, as SET and set_config take it; undefined for anything but a constant. */
export function constantText(node) {
    const cast = as(node, 'TypeCast');
    if (cast)
        return constantText(cast.arg);
    const constant = as(node, 'A_Const');
    if (!constant)
        return undefined;
    if (constant.isnull)
        return null;
    const body = constant;
    if (body.sval)
        return body.sval.sval ?? '';
    if (body.ival)
        return String(body.ival.ival ?? 0);
    if (body.fval)
        return body.fval.fval ?? '';
    if (body.boolval)
        return body.boolval.boolval ? 'true' : 'false';
    if (body.bsval)
        return body.bsval.bsval ?? '';
    return undefined;
}
/** An option (`DefElem`) of a statement's list by name, lower case. */
export function option(nodes, name) {
    for (const node of nodes ?? []) {
        const element = as(node, 'DefElem');
        if (element?.defname?.toLowerCase() === name)
            return element;
    }
    return undefined;
}
/** The text of an option's argument: a constant, a bare word, a type name. */
export function optionText(element) {
    const arg = element?.arg;
    if (arg === undefined)
        return undefined;
    const text = as(arg, 'String');
    if (text)
        return text.sval ?? '';
    const integer = as(arg, 'Integer');
    if (integer)
        return String(integer.ival ?? 0);
    const float = as(arg, 'Float');
    if (float)
        return float.fval ?? '';
    const boolean = as(arg, 'Boolean');
    if (boolean)
        return boolean.boolval ? 'true' : 'false';
    const typeName = as(arg, 'TypeName');
    if (typeName)
        return strings(typeName.names).at(-1);
    return constantText(arg) ?? undefined;
}
/** Whether a boolean option is on, by PostgreSQL's defGetBoolean: no value means on. */
export function optionOn(element) {
    if (!element)
        return false;
    const text = optionText(element)?.toLowerCase();
    return text === undefined || text === 'true' || text === 'on' || text === '1';
}
//# sourceMappingURL=ast.js.map