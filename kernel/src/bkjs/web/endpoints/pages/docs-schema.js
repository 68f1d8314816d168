// What the OpenAPI document says of fields and replies.

export let spec = {};

export function use(document) {
  spec = document;
}

const at = (ref) => ref.slice(2).split("/").reduce((node, key) => node && node[key], spec) || {};

/** The schema behind references, without the null of an optional one, and all of it in one. */
export function resolve(schema) {
  let found = schema || {};
  for (let depth = 0; depth < 10; depth++) {
    const others = (found.anyOf || []).filter((item) => item.type !== "null");
    if (found.$ref) found = { ...at(found.$ref), ...found, $ref: undefined };
    else if (others.length === 1) found = { ...found, anyOf: undefined, ...others[0] };
    else if (found.allOf) {
      const parts = found.allOf.map(resolve);
      found = {
        ...Object.assign({}, ...parts), ...found, allOf: undefined,
        properties: Object.assign({}, ...parts.map((part) => part.properties)),
        required: parts.flatMap((part) => part.required || []),
      };
    } else break;
  }
  return found;
}

export function typeName(schema) {
  const found = resolve(schema);
  if (found.anyOf) return found.anyOf.map(typeName).filter((name) => name !== "null").join(" or ");
  if (found.enum) return "choice";
  if (found.type === "array") return "list of " + (typeName(found.items) || "anything");
  if (found.format === "password") return "secret";
  return found.format || found.type || "anything";
}

export function limits(schema) {
  const words = {
    minLength: "length from %s", maxLength: "length up to %s", minimum: "from %s",
    maximum: "up to %s", exclusiveMinimum: "above %s", exclusiveMaximum: "below %s",
    minItems: "at least %s", maxItems: "at most %s", pattern: "like %s",
  };
  const found = resolve(schema);
  return Object.keys(words).filter((key) => found[key] !== undefined)
    .map((key) => words[key].replace("%s", () => found[key]));
}

export const isSecret = (schema) => resolve(schema).format === "password";

export const bodySchema = (operation) =>
  ((operation.requestBody || {}).content || {})["application/json"]?.schema;

export function fieldsOf(operation) {
  const parameters = (operation.parameters || []).map((item) => (item.$ref ? at(item.$ref) : item));
  const fields = parameters.filter((item) => item.in === "path" || item.in === "query").map((item) => ({
    name: item.name, where: item.in, required: item.required, schema: item.schema,
    about: item.description || resolve(item.schema).description,
  }));
  const schema = resolve(bodySchema(operation));
  for (const [name, property] of Object.entries(schema.properties || {})) {
    const required = (schema.required || []).includes(name);
    fields.push({ name, where: "body", required, schema: property, about: resolve(property).description });
  }
  return fields;
}

export function replySchema(operation) {
  const content = ((operation.responses || {})["200"] || {}).content || {};
  return (content["application/json"] || {}).schema;
}

/** Statuses of failures and what they mean. */
export function failures(operation) {
  return Object.entries(operation.responses || {}).filter(([code]) => code >= "400")
    .map(([code, found]) => [code, found.$ref ? at(found.$ref) : found])
    .map(([code, found]) => [code, found.description || ""]);
}

/** In words what a reply is, and the properties of what it is made of. */
export function outline(schema) {
  const found = resolve(schema);
  if (found.anyOf) {
    const parts = found.anyOf.map(outline);
    return { words: parts.map((part) => part.words).join(", or "), properties: parts.find((part) => part.properties)?.properties };
  }
  if (found.type === "array") {
    const inner = outline(found.items);
    return { words: "a list of " + (inner.properties ? "rows" : typeName(found.items)), properties: inner.properties };
  }
  const properties = found.properties || {};
  if (properties.data && properties.count) {
    return { words: "a page of rows: count, data, next_token", properties: outline(properties.data).properties };
  }
  const some = Object.keys(properties).length ? properties : null;
  return { words: some ? "an object" : typeName(found), properties: some };
}

const FORMATS = {
  uuid: "7f3c1a9e5b2d4c6f8a0e1d2c3b4a5968", "date-time": "2026-01-31T12:00:00.000Z", date: "2026-01-31",
  email: "anna@example.com", uri: "/a/page", password: "********",
};

/** A value as the schema describes it. */
export function example(schema, name = "", depth = 0) {
  const found = resolve(schema);
  if (found.examples?.length) return found.examples[0];
  if (found.example !== undefined) return found.example;
  if (found.default !== undefined && found.default !== null && found.default !== "") return found.default;
  if (found.enum) return found.enum[0];
  if (found.anyOf) return example(found.anyOf.at(-1), name, depth);
  if (found.properties && depth < 6) {
    return Object.fromEntries(Object.entries(found.properties).map(([key, item]) => [key, example(item, key, depth + 1)]));
  }
  switch (found.type) {
    case "array": return depth < 6 ? [example(found.items, name, depth + 1)] : [];
    case "integer": return found.description?.includes("milliseconds") ? 1767182400000 : Math.max(1, found.minimum ?? 1);
    case "number": return 1.5;
    case "boolean": return true;
    case "string": return FORMATS[found.format] || name || "text";
    default: return {};
  }
}
