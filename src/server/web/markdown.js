// Markdown as DOM nodes. Text only ever becomes text nodes, never HTML, so nothing a model writes can run.

const SAFE_SCHEMES = new Set(["http:", "https:", "mailto:"]);

function element(name, ...children) {
  const node = document.createElement(name);
  node.append(...children);
  return node;
}

// Only links that can't do anything but lead elsewhere.
function link(text, target) {
  let url;
  try {
    url = new URL(target);
  } catch {
    return document.createTextNode(text);
  }
  if (!SAFE_SCHEMES.has(url.protocol)) return document.createTextNode(text);
  const node = element("a", text);
  node.href = url.href;
  node.target = "_blank";
  node.rel = "noopener noreferrer";
  return node;
}

// Each finds its form at the beginning of a text.
const INLINE = [
  [/^(`+)(.+?)\1(?!`)/s, (m) => element("code", m[2].replace(/^ (.*) $/s, "$1"))],
  [/^\*\*(?=\S)(.+?\S|\S)\*\*/s, (m) => element("strong", ...inline(m[1]))],
  [/^__(?=\S)(.+?\S|\S)__(?!\w)/s, (m) => element("strong", ...inline(m[1]))],
  [/^~~(?=\S)(.+?)~~/s, (m) => element("del", ...inline(m[1]))],
  [/^\*(?=[^\s*])(.+?)\*(?!\*)/s, (m) => element("em", ...inline(m[1]))],
  [/^_(?=[^\s_])(.+?)_(?!\w)/s, (m) => element("em", ...inline(m[1]))],
  [/^!?\[([^\]\n]*)\]\(\s*<?([^\s)>]+)>?(?:\s+"[^"]*")?\s*\)/, (m) => link(m[1] || m[2], m[2])],
  [/^https?:\/\/[^\s<>()]+[^\s<>().,;:!?'"]/, (m) => link(m[0], m[0])],
  [/^\\([\\`*_{}[\]()#+\-.!|~<>])/, (m) => document.createTextNode(m[1])],
  [/^ {2,}\n/, () => element("br")],
];

let depth = 0;  // of forms in forms

export function inline(text) {
  if (depth > 12) return [document.createTextNode(text)];
  ++depth;
  const nodes = [];
  let plain = "";
  for (let at = 0; at < text.length;) {
    const rest = /[`*_~[!h\\ ]/.test(text[at]) ? text.slice(at, at + 4000) : "";
    const isInWord = (text[at] === "_" || text[at] === "h") && at > 0 && /\w/.test(text[at - 1]);
    let match = null;
    let make = null;
    if (rest && !isInWord) {
      for (const [pattern, build] of INLINE) {
        match = pattern.exec(rest);
        if (match) {
          make = build;
          break;
        }
      }
    }
    if (!match) {
      plain += text[at++];
      continue;
    }
    if (plain) nodes.push(document.createTextNode(plain));
    plain = "";
    nodes.push(make(match));
    at += match[0].length;
  }
  if (plain) nodes.push(document.createTextNode(plain));
  --depth;
  return nodes;
}

function codeBlock(language, lines) {
  const copy = element("button", "Copy");
  copy.type = "button";
  copy.className = "act";
  copy.dataset.copy = "";
  const head = element("div", element("span", language || "text"), copy);
  head.className = "code-head";
  const block = element("div", head, element("pre", element("code", lines.join("\n"))));
  block.className = "code";
  return block;
}

const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());

function table(lines) {
  const row = (name, line) => element("tr", ...cells(line).map((cell) => element(name, ...inline(cell))));
  const node = element("table", element("thead", row("th", lines[0])),
    element("tbody", ...lines.slice(2).map((line) => row("td", line))));
  const box = element("div", node);
  box.className = "table";
  return box;
}

const BULLET = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;

// Lines of a list, with what is indented below each item.
function list(lines) {
  const first = BULLET.exec(lines[0]);
  const indent = first[1].length;
  const isOrdered = /\d/.test(first[2]);
  const node = document.createElement(isOrdered ? "ol" : "ul");
  if (isOrdered) node.start = parseInt(first[2], 10);
  let item = null;
  const close = () => {
    if (!item) return;
    const li = element("li", ...inline(item.text));
    if (item.below.length) {
      const width = Math.min(...item.below.filter((l) => l.trim()).map((l) => l.length - l.trimStart().length));
      li.append(...blocks(item.below.map((l) => l.slice(width))));
    }
    node.append(li);
  };
  for (const line of lines) {
    const match = BULLET.exec(line);
    if (match && match[1].length <= indent + 1) {
      close();
      item = {text: match[3], below: []};
    } else if (match || /^\s{2,}/.test(line)) {
      item.below.push(line);
    } else if (line.trim()) {
      item.text += "\n" + line.trim();
    }
  }
  close();
  return node;
}

function blocks(lines) {
  const nodes = [];
  for (let i = 0; i < lines.length;) {
    const line = lines[i];
    const fence = /^\s{0,3}(`{3,}|~{3,})\s*([^\s`]*)/.exec(line);
    const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line);
    if (!line.trim()) {
      ++i;
    } else if (fence) {
      const begin = ++i;
      while (i < lines.length && !lines[i].trim().startsWith(fence[1])) ++i;
      nodes.push(codeBlock(fence[2], lines.slice(begin, i)));
      ++i;
    } else if (heading) {
      // The page has its own headings above: those of an answer begin at the third level.
      const node = element("h" + Math.min(6, heading[1].length + 2), ...inline(heading[2]));
      nodes.push(node);
      ++i;
    } else if (/^\s*([-*_])\s*(\1\s*){2,}$/.test(line)) {
      nodes.push(element("hr"));
      ++i;
    } else if (/^\s{0,3}>/.test(line)) {
      const begin = i;
      while (i < lines.length && lines[i].trim() && (/^\s{0,3}>/.test(lines[i]) || i > begin)) ++i;
      nodes.push(element("blockquote", ...blocks(lines.slice(begin, i).map((l) => l.replace(/^\s{0,3}> ?/, "")))));
    } else if (line.includes("|") && /^\s*\|?[\s:|-]*-[\s:|-]*$/.test(lines[i + 1] || "") && (lines[i + 1] || "").includes("|")) {
      const begin = i;
      while (i < lines.length && lines[i].includes("|")) ++i;
      nodes.push(table(lines.slice(begin, i)));
    } else if (BULLET.test(line)) {
      const begin = i;
      while (i < lines.length) {
        const isBlank = !lines[i].trim();
        const goesOn = isBlank ? BULLET.test(lines[i + 1] || "") || /^\s{2,}\S/.test(lines[i + 1] || "")
                               : BULLET.test(lines[i]) || /^\s{2,}/.test(lines[i]) || i === begin || lines[i - 1].trim();
        if (!goesOn) break;
        ++i;
      }
      nodes.push(list(lines.slice(begin, i)));
    } else {
      const begin = i++;
      while (i < lines.length && lines[i].trim() && !/^(\s{0,3}(`{3,}|~{3,}|>|#{1,6}\s)|\s*([-*+]|\d{1,9}[.)])\s)/.test(lines[i])) ++i;
      nodes.push(element("p", ...inline(lines.slice(begin, i).join("\n"))));
    }
  }
  return nodes;
}

export function markdown(text) {
  depth = 0;
  return blocks(text.replace(/\r\n?/g, "\n").split("\n"));
}
