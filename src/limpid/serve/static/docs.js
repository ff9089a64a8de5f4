// Shows /openapi.json: every path with its parameters, body and answers. Only text is put into the page, never markup.

const METHODS = ["get", "post", "put", "patch", "delete"];

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function resolved(schema, all, depth = 0) {
  if (!schema || typeof schema !== "object" || depth > 8) return schema;
  if (Array.isArray(schema)) return schema.map((each) => resolved(each, all, depth + 1));
  if (schema.$ref) return resolved(all[schema.$ref.split("/").pop()], all, depth + 1);
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, resolved(value, all, depth + 1)]));
}

function schemaBlock(title, schema, all) {
  const text = JSON.stringify(resolved(schema, all), null, 2);
  return element("div", {}, element("h4", {}, title), element("pre", { tabindex: "0" }, text));
}

function parameterTable(parameters) {
  const rows = parameters.map((each) =>
    element("tr", {}, element("td", {}, element("code", {}, each.name)), element("td", {}, each.in),
      element("td", {}, each.required ? "needed" : ""), element("td", {}, each.description || each.schema?.description || "")));
  const head = element("tr", {}, ...["name", "in", "", "meaning"].map((word) => element("th", { scope: "col" }, word)));
  return element("table", {}, element("thead", {}, head), element("tbody", {}, ...rows));
}

function answerBlock(status, answer, all) {
  const schema = answer.content?.["application/json"]?.schema;
  const title = `${status}: ${answer.description || ""}`;
  return schema && Number(status) < 300 ? schemaBlock(title, schema, all) : element("p", {}, title);
}

function operation(method, path, about, all) {
  const summary = element("summary", {}, element("span", { class: "method" }, method.toUpperCase()),
    element("code", {}, path), " ", element("span", { class: "says" }, about.summary || ""));
  const inside = element("div", { class: "inside" });
  if (about.description) inside.append(element("p", {}, about.description));
  if (about.parameters?.length) inside.append(parameterTable(about.parameters));
  const body = about.requestBody?.content?.["application/json"]?.schema;
  if (body) inside.append(schemaBlock("body", body, all));
  for (const [status, answer] of Object.entries(about.responses || {})) inside.append(answerBlock(status, answer, all));
  return element("details", {}, summary, inside);
}

function grouped(paths) {
  const groups = new Map();
  for (const [path, methods] of Object.entries(paths)) {
    for (const method of METHODS.filter((name) => methods[name])) {
      const tag = methods[method].tags?.[0] || "other";
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push([method, path, methods[method]]);
    }
  }
  return groups;
}

async function show() {
  const main = document.getElementById("paths");
  const answer = await fetch("/openapi.json");
  const documented = await answer.json();
  const all = documented.components?.schemas || {};
  main.replaceChildren();
  for (const [tag, operations] of grouped(documented.paths)) {
    main.append(element("h2", {}, tag), ...operations.map((each) => operation(...each, all)));
  }
}

show().catch((problem) => {
  document.getElementById("paths").replaceChildren(element("p", { role: "alert" }, `The document could not be read: ${problem}`));
});
