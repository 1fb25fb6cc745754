// What a transform finds in its context, and what takes its answer apart. The functions are kept first, so that no program
// can put others in their place.
(() => {
  const { parse, stringify } = JSON;
  const { isArray } = Array;
  const handlers = new Map();
  const lines = [];

  globalThis.addHandler = (name, handler) => {
    if (name !== "transform") throw new TypeError(`addHandler("${name}"): the only handler is "transform"`);
    if (typeof handler !== "function") throw new TypeError("addHandler takes a name and a function");
    handlers.set(name, handler);
  };
  const show = (it) => (typeof it === "string" ? it : stringify(it) ?? String(it));
  const log = (...items) => {
    if (lines.length < 100) lines.push(items.map(show).join(" ").slice(0, 1000));
  };
  globalThis.console = { debug: log, log, info: log, warn: log, error: log };

  const read = (text) => {
    try {
      return { value: parse(text), isJson: true };
    } catch {
      return { value: text, isJson: false };
    }
  };

  return {
    isReady: () => handlers.has("transform"),
    run(envelope, text) {
      const { headers, path, query, context } = parse(envelope);
      const { value, isJson } = read(text);
      // A body that comes back as it was is sent as the bytes that came: what JavaScript writes is never quite the same.
      const before = isJson ? stringify(value) : text;
      const finish = (request) => {
        if (request === null || typeof request !== "object" || isArray(request)) {
          throw new TypeError("the transform returned no request: return { headers, body }");
        }
        const isText = typeof request.body === "string";
        const after = isText && !(isJson && request.body === value) ? request.body : stringify(request.body);
        if (after === undefined) throw new TypeError("the transform returned a request without a body");
        const isSame = after === before && isText === (typeof value === "string");
        const pairs = [];
        for (const [name, given] of Object.entries(request.headers ?? {})) {
          for (const it of isArray(given) ? given : [given]) {
            if (it !== null && it !== undefined) pairs.push([name, String(it)]);
          }
        }
        return {
          envelope: stringify({ headers: pairs, isSame, isJson: !isText, lines }),
          body: isSame ? "" : after,
        };
      };
      const answer = handlers.get("transform")({ headers, body: value, path, query }, context);
      return answer instanceof Promise ? answer.then(finish) : finish(answer);
    },
  };
})();
