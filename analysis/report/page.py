def write_page(reports, stages, output):
    return output / "index.html"
