"""Steps for pipelines that others run: datatrove and Scrapy. What takes Arrow tables is served by `filter.arrow`."""
